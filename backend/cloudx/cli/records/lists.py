"""The commands of named lists."""

from __future__ import annotations

from typing import Annotated

import typer

from cloudx.domain.errors import InvalidInput

from ..session import JsonOption
from .calls import add_record, list_records, remove_record
from .read_targets import read_list

lists = typer.Typer(help="Targets under a name that scans and schedules refer to.", no_args_is_help=True)


@lists.command("list")
def list_lists(as_json: JsonOption = False) -> None:
    """List the named lists.

    Example: cloudx lists list
    """
    list_records("lists", ("name", "targets"), as_json)


@lists.command("add")
def add_list(
    name: Annotated[str, typer.Argument(help="Its name, which is used once.")],
    target: Annotated[list[str] | None, typer.Argument(help="Addresses, CIDRs, ranges or host names.")] = None,
    file: Annotated[
        list[str] | None, typer.Option("--file", "-f", metavar="FILE", help="A list of targets; - is standard input.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Name a list of targets; `cloudx scan --list NAME` scans it.

    Example: cloudx lists add offices 10.1.0.0/24 10.2.0.0/24
    """
    targets = [*(target or []), *map(read_list, file or [])]
    if not targets:
        raise InvalidInput("targets", "No target given. Name one, or a list of them with --file FILE.")
    add_record("lists", {"name": name, "targets": targets}, None, as_json)


@lists.command("remove")
def remove_list(
    list_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")], as_json: JsonOption = False
) -> None:
    """Forget a list; scans made of it go on.

    Example: cloudx lists remove 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    remove_record("lists", list_id, as_json)

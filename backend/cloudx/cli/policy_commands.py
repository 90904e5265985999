"""The commands for scopes, exclusions, canaries and tokens; each lists, adds and removes."""

from __future__ import annotations

from typing import Annotated

import typer

from cloudx.domain.access import Role

from .records.calls import add_record, list_records, remove_record
from .records.hours import hours_of
from .session import JsonOption

TargetArgument = Annotated[list[str], typer.Argument(help="Addresses, CIDRs, ranges or host names.")]
ExpiresOption = Annotated[str | None, typer.Option(help="90m, 12h, 30d, 4w, a date or a time; never, by default.")]
NoteOption = Annotated[str, typer.Option(help="Why.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]

scopes = typer.Typer(help="What may be scanned, and who answers for it.", no_args_is_help=True)
exclusions = typer.Typer(help="What is never scanned, whatever the scopes say.", no_args_is_help=True)
canaries = typer.Typer(help="Listeners by which a node sees that its way out works.", no_args_is_help=True)
tokens = typer.Typer(help="Who may use the API.", no_args_is_help=True)


@scopes.command("list")
def list_scopes(as_json: JsonOption = False) -> None:
    """List what may be scanned.

    Example: cloudx scopes list
    """
    list_records("scopes", ("owner", "expires_at", "allowed_hours", "targets", "note"), as_json)


@scopes.command("add")
def add_scope(
    target: TargetArgument,
    owner: Annotated[str, typer.Option(help="Who answers for it.")],
    note: NoteOption,
    expires: ExpiresOption = None,
    hours: Annotated[
        list[str] | None,
        typer.Option(help="When it may be scanned: 22:00-06:00, mon-fri 18:00-24:00; may be repeated."),
    ] = None,
    timezone: Annotated[str, typer.Option("--timezone", "-z", help="By whose clocks the hours are.")] = "UTC",
    as_json: JsonOption = False,
) -> None:
    """Authorise the scanning of targets.

    Example: cloudx scopes add 203.0.113.0/24 --owner ann --note "contract 17" --expires 30d --hours 22:00-06:00
    """
    body = {"targets": target, "owner": owner, "note": note}
    add_record("scopes", body | hours_of(hours or [], timezone), expires, as_json)


@scopes.command("remove")
def remove_scope(scope_id: IdArgument, as_json: JsonOption = False) -> None:
    """Withdraw an authorisation; scans that relied on it end within seconds.

    Example: cloudx scopes remove 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    remove_record("scopes", scope_id, as_json)


@exclusions.command("list")
def list_exclusions(as_json: JsonOption = False) -> None:
    """List what is never scanned.

    Example: cloudx exclusions list
    """
    list_records("exclusions", ("targets", "note"), as_json)


@exclusions.command("add")
def add_exclusion(target: TargetArgument, note: NoteOption, as_json: JsonOption = False) -> None:
    """Forbid the scanning of targets, in running scans too.

    Example: cloudx exclusions add 10.0.0.1 --note "the old PLC"
    """
    add_record("exclusions", {"targets": target, "note": note}, None, as_json)


@exclusions.command("remove")
def remove_exclusion(exclusion_id: IdArgument, as_json: JsonOption = False) -> None:
    """Allow scanning again.

    Example: cloudx exclusions remove 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    remove_record("exclusions", exclusion_id, as_json)


@canaries.command("list")
def list_canaries(as_json: JsonOption = False) -> None:
    """List the listeners that every node must be able to reach; `cloudx nodes` shows which node does not.

    Example: cloudx canaries list
    """
    list_records("canaries", ("target", "port", "note"), as_json)


@canaries.command("add")
def add_canary(
    target: Annotated[str, typer.Argument(help="One address or host name.")],
    port: Annotated[int, typer.Option("--port", "-p", min=1, max=65535, help="Its TCP port.")],
    note: NoteOption,
    as_json: JsonOption = False,
) -> None:
    """Name a listener that is known to answer; a node that no canary answers takes no work.

    Example: cloudx canaries add 192.0.2.7 --port 443 --note "our own web server"
    """
    add_record("canaries", {"target": target, "port": port, "note": note}, None, as_json)


@canaries.command("remove")
def remove_canary(canary_id: IdArgument, as_json: JsonOption = False) -> None:
    """Forget a canary.

    Example: cloudx canaries remove 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    remove_record("canaries", canary_id, as_json)


@tokens.command("list")
def list_tokens(as_json: JsonOption = False) -> None:
    """List the tokens; their secrets are kept nowhere.

    Example: cloudx tokens list
    """
    list_records("tokens", ("name", "role", "node_id", "expires_at"), as_json)


@tokens.command("add")
def add_token(
    role: Annotated[Role, typer.Option(help="What it may do.")],
    name: Annotated[str | None, typer.Argument(help="Whose it is; a node's is the node's by default.")] = None,
    node_id: Annotated[str | None, typer.Option(help="The node that a node token speaks for.")] = None,
    expires: ExpiresOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token; it is printed this once.

    Example: cloudx tokens add ann --role operator --expires 30d
    """
    fields = {"name": name or node_id, "role": role.value, "node_id": node_id}
    add_record("tokens", {field: value for field, value in fields.items() if value is not None}, expires, as_json)


@tokens.command("remove")
def remove_token(token_id: IdArgument, as_json: JsonOption = False) -> None:
    """Revoke a token.

    Example: cloudx tokens remove 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    remove_record("tokens", token_id, as_json)

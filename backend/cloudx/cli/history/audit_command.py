"""The command that shows the audit trail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..session import JsonOption, api_session

if TYPE_CHECKING:
    from ..api_client import ApiClient

PAGE = 1000  # the most that the API gives at once


def audit(
    principal: Annotated[str | None, typer.Option(help="Who made the change, as `admin` or `token:NAME`.")] = None,
    action: Annotated[str | None, typer.Option(help="What kind of change, as `scan.submit`.")] = None,
    since: Annotated[str | None, typer.Option(help="Only entries of this ISO time and later.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many entries at most.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List who changed what, newest first; for admins.

    Example: cloudx audit --action scan.submit --since 2026-11-01T00:00:00Z
    """
    with api_session() as api:
        from cloudx.terminal import print_json, say

        filters: dict[str, Any] = {"principal": principal, "action": action, "since": since}
        entries = list(_entries(api, {name: value for name, value in filters.items() if value is not None}, limit))
        if as_json:
            print_json(entries)
        elif entries:
            _print_entries(entries)
        else:
            say("No entry matches. Without --principal, --action and --since all are listed.")


def _entries(api: ApiClient, query: dict[str, Any], limit: int) -> Iterator[dict[str, Any]]:
    """Read page by page until there are `limit` entries."""
    left = limit
    while left > 0:
        page = api.get("/api/audit", limit=min(left, PAGE), **query)
        yield from page["items"]
        left -= len(page["items"])
        if page["next_cursor"] is None:
            return
        query = query | {"cursor": page["next_cursor"]}


def _print_entries(entries: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from cloudx.terminal import out, table, visible

    shown = table("AT", "PRINCIPAL", "ACTION", "SUBJECT", "DETAIL", folds=("DETAIL",))
    for entry in entries:
        detail = json.dumps(entry["detail"], ensure_ascii=False) if entry["detail"] else ""
        row = (entry["at"], entry["principal"], entry["action"], entry["subject"], detail)
        shown.add_row(*(Text(visible(value)) for value in row))
    out().print(shown)

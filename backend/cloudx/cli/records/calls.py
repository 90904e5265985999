"""What the commands of records ask of the API: list, add, remove."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from cloudx.domain.errors import InvalidInput

from ..session import api_session
from .hours import hours_text


def list_records(kind: str, fields: Sequence[str], as_json: bool) -> None:
    """Print every record of a kind."""
    with api_session() as api:
        from cloudx.terminal import print_json, say

        found = api.get(f"/api/{kind}")
        if as_json:
            print_json(found)
        elif found:
            _print_rows(found, fields)
        else:
            say(f"There are no {kind}. Add one: cloudx {kind} add --help")


def _print_rows(found: Sequence[dict[str, Any]], fields: Sequence[str]) -> None:
    from rich.text import Text

    from cloudx.terminal import out, table, visible

    headings = [field.removesuffix("_at").replace("_", " ").upper() for field in fields]
    shown = table("ID", *headings, folds=("TARGETS", "NOTE"))
    for row in found:
        shown.add_row(visible(row["id"]), *(Text(visible(_cell(row, field))) for field in fields))
    out().print(shown)


def _cell(row: dict[str, Any], field: str) -> str:
    from ..scan_text import local_time

    value = row.get(field)
    if field == "expires_at":
        return local_time(value)[:16] or "never"  # to the minute
    if field == "allowed_hours":
        return hours_text(value)
    if field == "last_delivery":
        return _delivery(value)
    return " ".join(value) if isinstance(value, list) else str(value or "")


def _delivery(last: dict[str, Any] | None) -> str:
    if last is None:
        return "nothing was sent yet"
    from ..scan_text import local_time

    status = f" {last['http_status']}" if last["http_status"] else ""
    return f"{local_time(last['at'])[:16]} {last['event']} {last['outcome']}{status} {last['answer']}".strip()


def add_record(kind: str, body: dict[str, Any], expires: str | None, as_json: bool) -> None:
    """Make a record and print its id, or its token."""
    with api_session() as api:
        from cloudx.terminal import print_json, say, visible

        from ..expiry import parse_expiry

        if kind == "tokens" and not body.get("name"):
            raise InvalidInput("name", "A token needs a name: cloudx tokens add NAME --role ROLE.")
        expires_at = parse_expiry(expires, datetime.now(UTC))
        made = api.post(f"/api/{kind}", body | ({"expires_at": expires_at} if expires_at else {}))
        if as_json:
            print_json(made)
            return
        typer.echo(visible(made.get("token") or made.get("secret") or made["id"]))
        say(_added(kind, made))


def _added(kind: str, made: dict[str, Any]) -> str:
    remove = f"`cloudx {kind} remove {made['id']}`"
    if "token" in made:
        return f"Added. This token is shown this once; {remove} makes it worthless."
    if "secret" in made:
        return f"Added. This secret is shown this once; {remove} ends it."
    return f"Added. {remove} takes it back."


def remove_record(kind: str, item_id: str, as_json: bool) -> None:
    """Remove a record."""
    with api_session() as api:
        from cloudx.terminal import print_json, say

        from ..api_client import checked_id

        answer = api.delete(f"/api/{kind}/{checked_id(item_id)}") or {"message": "Removed."}
        if as_json:
            print_json(answer)
        else:
            say(answer.get("message", "Removed."))

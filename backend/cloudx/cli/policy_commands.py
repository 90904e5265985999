"""The commands for scopes, exclusions, canaries and tokens; each lists, adds and removes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cloudx.domain.access import Role
from cloudx.domain.errors import InvalidInput

from .session import JsonOption, api_session

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
    _list("scopes", ("owner", "expires_at", "targets", "note"), as_json)


@scopes.command("add")
def add_scope(
    target: TargetArgument,
    owner: Annotated[str, typer.Option(help="Who answers for it.")],
    note: NoteOption,
    expires: ExpiresOption = None,
    as_json: JsonOption = False,
) -> None:
    """Authorise the scanning of targets.

    Example: cloudx scopes add 203.0.113.0/24 --owner ann --note "contract 17" --expires 30d
    """
    _add("scopes", {"targets": target, "owner": owner, "note": note}, expires, as_json)


@scopes.command("remove")
def remove_scope(scope_id: IdArgument, as_json: JsonOption = False) -> None:
    """Withdraw an authorisation; scans that relied on it end within seconds.

    Example: cloudx scopes remove 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    _remove("scopes", scope_id, as_json)


@exclusions.command("list")
def list_exclusions(as_json: JsonOption = False) -> None:
    """List what is never scanned.

    Example: cloudx exclusions list
    """
    _list("exclusions", ("targets", "note"), as_json)


@exclusions.command("add")
def add_exclusion(target: TargetArgument, note: NoteOption, as_json: JsonOption = False) -> None:
    """Forbid the scanning of targets, in running scans too.

    Example: cloudx exclusions add 10.0.0.1 --note "the old PLC"
    """
    _add("exclusions", {"targets": target, "note": note}, None, as_json)


@exclusions.command("remove")
def remove_exclusion(exclusion_id: IdArgument, as_json: JsonOption = False) -> None:
    """Allow scanning again.

    Example: cloudx exclusions remove 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    _remove("exclusions", exclusion_id, as_json)


@canaries.command("list")
def list_canaries(as_json: JsonOption = False) -> None:
    """List the listeners that every node must be able to reach; `cloudx nodes` shows which node does not.

    Example: cloudx canaries list
    """
    _list("canaries", ("target", "port", "note"), as_json)


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
    _add("canaries", {"target": target, "port": port, "note": note}, None, as_json)


@canaries.command("remove")
def remove_canary(canary_id: IdArgument, as_json: JsonOption = False) -> None:
    """Forget a canary.

    Example: cloudx canaries remove 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    _remove("canaries", canary_id, as_json)


@tokens.command("list")
def list_tokens(as_json: JsonOption = False) -> None:
    """List the tokens; their secrets are kept nowhere.

    Example: cloudx tokens list
    """
    _list("tokens", ("name", "role", "node_id", "expires_at"), as_json)


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
    _add("tokens", {field: value for field, value in fields.items() if value is not None}, expires, as_json)


@tokens.command("remove")
def remove_token(token_id: IdArgument, as_json: JsonOption = False) -> None:
    """Revoke a token.

    Example: cloudx tokens remove 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    _remove("tokens", token_id, as_json)


def _list(kind: str, fields: Sequence[str], as_json: bool) -> None:
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
    from .scan_text import local_time

    value = row.get(field)
    if field == "expires_at":
        return local_time(value)[:16] or "never"  # to the minute
    return " ".join(value) if isinstance(value, list) else str(value or "")


def _add(kind: str, body: dict[str, Any], expires: str | None, as_json: bool) -> None:
    with api_session() as api:
        from cloudx.terminal import print_json, say, visible

        from .expiry import parse_expiry

        if kind == "tokens" and not body.get("name"):
            raise InvalidInput("name", "A token needs a name: cloudx tokens add NAME --role ROLE.")
        expires_at = parse_expiry(expires, datetime.now(UTC))
        made = api.post(f"/api/{kind}", body | ({"expires_at": expires_at} if expires_at else {}))
        if as_json:
            print_json(made)
            return
        typer.echo(visible(made.get("token") or made["id"]))
        say(
            f"Added. This token is shown this once; `cloudx {kind} remove {made['id']}` makes it worthless."
            if "token" in made
            else f"Added. `cloudx {kind} remove {made['id']}` takes it back."
        )


def _remove(kind: str, item_id: str, as_json: bool) -> None:
    with api_session() as api:
        from cloudx.terminal import print_json, say

        from .api_client import checked_id

        answer = api.delete(f"/api/{kind}/{checked_id(item_id)}") or {"message": "Removed."}
        if as_json:
            print_json(answer)
        else:
            say(answer.get("message", "Removed."))

"""The commands of webhooks."""

from __future__ import annotations

from typing import Annotated

import typer

from cloudx.domain.webhooks.delivery import Topic

from ..session import JsonOption
from .calls import add_record, list_records, remove_record

webhooks = typer.Typer(help="Who is told of finished scans, of differences and of lost nodes.", no_args_is_help=True)


@webhooks.command("list")
def list_webhooks(as_json: JsonOption = False) -> None:
    """List the webhooks, each with its last delivery and what its receiver answered.

    Example: cloudx webhooks list
    """
    list_records("webhooks", ("url", "events", "waiting", "last_delivery"), as_json)


@webhooks.command("add")
def add_webhook(
    url: Annotated[str, typer.Argument(help="https://HOST/… or http://HOST/…")],
    event: Annotated[list[Topic] | None, typer.Option("--event", "-e", help="All of them, by default.")] = None,
    secret: Annotated[
        str | None, typer.Option(envvar="WEBHOOK_SECRET", help="Signs what is sent; one is made, by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell a URL what happens; prints the secret, by which the receiver checks the signature, this once.

    Example: cloudx webhooks add https://hooks.example.com/cloudx --event scan.finished --event node.lost
    """
    body = {"url": url, "events": [topic.value for topic in event or Topic]}
    add_record("webhooks", body | ({"secret": secret} if secret else {}), None, as_json)


@webhooks.command("remove")
def remove_webhook(
    webhook_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")], as_json: JsonOption = False
) -> None:
    """Tell a URL nothing any more, not even what waits.

    Example: cloudx webhooks remove 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    remove_record("webhooks", webhook_id, as_json)

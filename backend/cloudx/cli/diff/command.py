"""The command that tells what changed from one scan to another: a table, or everything in a format of the API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cloudx.cli.results_command import ResultFormat, as_array, choose_format, sink
from cloudx.cli.session import JsonOption, api_session
from cloudx.domain.diff.changes import LISTED
from cloudx.domain.errors import InvalidInput

COMPARE_SECONDS = 300.0  # of silence: very large scans that hardly differ
BeforeArgument = Annotated[str, typer.Argument(metavar="A", help="The earlier scan's id, or the word: last.")]
AfterArgument = Annotated[str, typer.Argument(metavar="B", help="The later scan's id, or the word: last.")]
ChangeOption = Annotated[
    str | None, typer.Option(help=f"Only these, with commas between: {', '.join(sorted(LISTED))}.")
]


class DiffFormat(StrEnum):
    """The formats of a diff."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


def diff(
    before: BeforeArgument,
    after: AfterArgument,
    change: ChangeOption = None,
    diff_format: Annotated[
        DiffFormat | None, typer.Option("--format", "-f", help="Everything, in this format.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file; its ending names the format.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows of the table.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Tell what opened, closed and changed from scan A to scan B: a table, or everything as json, ndjson or csv.

    A port is closed only if B probed it again; else it is not observed.

    Example: cloudx diff 01a2250f-9bdc-7ad7-b58f-766cc0744b74 last --change opened,closed
    """
    chosen = chosen_format(diff_format, file, as_json)
    with api_session() as api:
        from cloudx.cli.api_client import scan_id_of
        from cloudx.terminal import say

        from .table import print_diff

        ids = [scan_id_of(api, one) for one in (before, after)]
        path = f"/api/scans/{ids[0]}/diff/{ids[1]}"
        query: dict[str, Any] = {"change": change} if change else {}
        if chosen is None:
            print_diff(api, api.get(path, COMPARE_SECONDS, limit=limit, **query))
            return
        is_json = chosen is DiffFormat.JSON
        page = api.get(path, COMPARE_SECONDS, limit=1, **query) if is_json else {}
        sent = DiffFormat.NDJSON if is_json else chosen
        with api.stream(path, COMPARE_SECONDS, format=sent.value, **query) as pieces, sink(file) as write:
            for piece in as_document(page, pieces) if is_json else pieces:
                write(piece)
        if file is not None and str(file) != "-":
            say(f"Written to {file}.")


def chosen_format(requested: DiffFormat | None, file: Path | None, as_json: bool) -> DiffFormat | None:
    """As the results' formats are chosen; None means the table. Raises InvalidInput for a file of XML."""
    chosen = choose_format(ResultFormat(requested) if requested else None, file, as_json)
    if chosen is ResultFormat.XML:
        raise InvalidInput("output", "A diff has no XML: name a file that ends in .json, .ndjson or .csv.")
    return DiffFormat(chosen) if chosen else None


def as_document(page: dict[str, Any], pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Turn lines of JSON into the API's document with every item, holding one piece in memory."""
    head = {name: page[name] for name in ("from", "to", "summary")}
    yield json.dumps(head)[:-1].encode() + b', "items": '
    yield from as_array(pieces)
    yield b', "next_cursor": null}\n'

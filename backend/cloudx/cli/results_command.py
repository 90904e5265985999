"""The command that prints or saves the findings of a scan, in the formats of the API."""

from __future__ import annotations

import codecs
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .session import JsonOption, ScanIdArgument, api_session

Write = Callable[[bytes], object]


class ResultFormat(StrEnum):
    """The formats the API streams."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    XML = "xml"


def results(
    scan_id: ScanIdArgument,
    result_format: Annotated[
        ResultFormat | None, typer.Option("--format", "-f", help="Everything, in this format; xml is nmap's.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file; its ending names the format.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows of the table.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Print what a scan found: a table, or everything as json, ndjson, csv or nmap's xml (of any tool's scan).

    Example: cloudx results last --format csv -o findings.csv
    """
    with api_session() as api:
        from cloudx.terminal import say

        from .api_client import scan_id_of
        from .scan_tables import print_findings
        from .scan_text import is_over

        scan = api.get(f"/api/scans/{scan_id_of(api, scan_id)}")
        if not is_over(scan):
            say(f"The scan is {scan['status']}: this is what it has found so far.")
        chosen = choose_format(result_format, file, as_json)
        if chosen is None:
            print_findings(api, scan, limit)
            return
        sent = ResultFormat.NDJSON if chosen is ResultFormat.JSON else chosen
        with api.stream(f"/api/scans/{scan['job_id']}/results", format=sent.value) as pieces, sink(file) as write:
            for piece in as_array(pieces) if chosen is ResultFormat.JSON else pieces:
                write(piece)
        if file is not None and str(file) != "-":
            say(f"Written to {file}.")


def choose_format(requested: ResultFormat | None, file: Path | None, as_json: bool) -> ResultFormat | None:
    """The requested format, else that of the file's ending, else JSON for a file; None means the table."""
    if requested is not None:
        return requested
    if as_json or file is None:
        return ResultFormat.JSON if as_json else None
    ending = file.suffix.removeprefix(".").lower()
    return ResultFormat(ending) if ending in list(ResultFormat) else ResultFormat.JSON


def as_array(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Turn lines of JSON into a JSON array, a finding a line, holding one piece in memory."""
    rest, before = b"", b"[\n"
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        whole = [line for line in lines if line.strip()]
        if whole:
            yield before + b",\n".join(whole)
            before = b",\n"
    if rest.strip():
        yield before + rest
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


@contextmanager
def sink(file: Path | None) -> Iterator[Write]:
    """Where a command writes what it got: a file that appears whole or not at all, else standard output."""
    if file is None or str(file) == "-":
        yield _terminal_write() if sys.stdout.isatty() else sys.stdout.buffer.write
        sys.stdout.flush()
    elif file.exists() and not file.is_file():  # /dev/stdout, a named pipe
        with open(file, "wb") as opened:
            yield opened.write
    else:
        with _replacing(file) as write:
            yield write


@contextmanager
def _replacing(file: Path) -> Iterator[Write]:
    """Write a file that appears whole or not at all."""
    handle, unfinished = _open_beside(file)
    try:
        with open(handle, "wb") as opened:
            yield opened.write
        Path(unfinished).chmod(0o666 & ~_umask())
        Path(unfinished).replace(file)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def _open_beside(file: Path) -> tuple[int, str]:
    try:
        return tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}.")
    except OSError as error:  # it would name the temporary file, which nobody typed
        raise OSError(error.errno, error.strerror, str(file)) from None


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _terminal_write() -> Write:
    """Show a banner's escapes on the terminal; files and pipes get every byte."""
    from cloudx.terminal import visible

    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(piece: bytes) -> None:
        lines = decoder.decode(piece).split("\n")
        sys.stdout.write("\n".join(visible(line.rstrip("\r").replace("\t", "    "), limit=None) for line in lines))

    return write

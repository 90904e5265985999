"""Workers without work wait here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

import orjson
from flask import Response

from cloudx.services.chunks.work_signal import WorkSignal

from ..access import Access, access
from ..blueprint import resource
from ..context import deps, principal
from ..schemas.nodes import WorkNumber, WorkQuery

blueprint = resource("work", "/api/work")
ALIVE_SECONDS = 50.0  # between two spaces of an answer that is on its way: proxies cut what is silent for a minute


@blueprint.get("", summary="Wait until there may be work", responses={200: WorkNumber})
@access(Access.NODES)
def wait(query: WorkQuery) -> Response:
    """The answer ends as soon as its number is above `seen`: then look for chunks, and ask again with the new number.

    Spaces come before the JSON meanwhile. Where the ledger is a SQLite file, which tells of nothing, it ends at once.
    """
    signal, node_id = deps().work_signal, principal().node_id
    wait_seconds = 0.0 if deps().settings.uses_sqlite else query.wait_seconds
    signal.take_place(node_id)
    response = Response(_answer(signal, query.seen, wait_seconds), mimetype="application/json")
    response.call_on_close(lambda: signal.leave_place(node_id))
    return response


def _answer(signal: WorkSignal, seen: int, wait_seconds: float) -> Iterator[bytes]:
    until = time.monotonic() + wait_seconds
    while (left := until - time.monotonic()) > 0 and not signal.is_closed:
        yield b" "  # the headers go with the first one: Fabio waits 8 s for them
        if signal.wait(seen, min(left, ALIVE_SECONDS)) > seen:
            break
    yield orjson.dumps(asdict(signal.news(seen)))

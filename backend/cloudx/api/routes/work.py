"""Workers without work wait here."""

from __future__ import annotations

import time
from collections.abc import Iterator

import orjson
from flask import Response

from cloudx.services.chunks.work_bell import WorkBell

from ..access import Access, access
from ..blueprint import resource
from ..context import deps
from ..schemas.nodes import WorkNumber, WorkQuery

blueprint = resource("work", "/api/work")
ALIVE_SECONDS = 50.0  # between two spaces of an answer that is on its way: proxies cut what is silent for a minute


@blueprint.get("", summary="Wait until there may be work", responses={200: WorkNumber})
@access(Access.NODES)
def wait(query: WorkQuery) -> Response:
    """The answer ends as soon as its number is above `seen`: then look for chunks, and ask again with the new number.

    Spaces come before the JSON meanwhile. Where the ledger is a SQLite file, which tells of nothing, it ends at once.
    """
    bell = deps().work_bell
    bell.require_room()
    wait_seconds = query.wait_seconds if deps().work_notices is not None else 0.0
    return Response(_answer(bell, query.seen, wait_seconds), mimetype="application/json")


def _answer(bell: WorkBell, seen: int, wait_seconds: float) -> Iterator[bytes]:
    until = time.monotonic() + wait_seconds
    while (left := until - time.monotonic()) > 0 and not bell.is_closed:
        yield b" "  # the headers go with the first one: Fabio waits 8 s for them
        if bell.wait(seen, min(left, ALIVE_SECONDS)) > seen:
            break
    yield orjson.dumps({"number": bell.wait(seen, 0), "rest_seconds": round(bell.rest_seconds(), 1)})

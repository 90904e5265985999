"""What changes, told as it changes."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_openapi.utils import parse_body

from cloudx.services.events.feed import Batch

from ..access import Access, access, authenticate_again
from ..blueprint import resource
from ..context import deps, principal
from ..live.event_stream import show_event, stream_events
from ..schemas.events import EventPage, EventsHeaders, EventsQuery

blueprint = resource("events", "/api/events")

_PAGE, _page_schemas = parse_body(EventPage)
blueprint.components_schemas.update(_page_schemas)
_STREAM, _JSON = "text/event-stream", "application/json"
_FIELD = {"type": "string"}
_BLOCK = {"type": "object", "properties": {"id": _FIELD, "event": _FIELD, "data": _FIELD}}
_CONTENT = {_STREAM: {"schema": _BLOCK}, **_PAGE}
_HEADERS = {"X-Accel-Buffering": "no"}  # nginx passes each event on at once


@blueprint.get("", summary="Follow scans, chunks and nodes", responses={200: {"content": _CONTENT}})
@access(Access.VIEWER)
def follow(header: EventsHeaders, query: EventsQuery) -> Any:
    """A stream of server-sent events; with `Accept: application/json` one page, for whoever asks at intervals."""
    after = query.after if header.last_event_id is None else header.last_event_id
    if request.accept_mimetypes.best_match([_STREAM, _JSON]) == _JSON:
        return _page(query, after)
    feed, types, listener = deps().events, query.chosen(), principal().key
    start = _now() if after is None else feed.page(after)
    feed.take_place(listener)
    text = stream_events(feed, start, types, authenticate_again())
    response = Response(text, content_type=_STREAM, headers=_HEADERS)
    response.call_on_close(lambda: feed.leave_place(listener))
    return response


def _page(query: EventsQuery, after: int | None) -> dict[str, Any]:
    types = query.chosen()
    batch = _now() if after is None else deps().events.page(after, query.limit)
    items = [show_event(event) for event in batch.events if event.type in types]
    return {"items": items, "next_after": batch.upto, "reset": batch.is_broken}


def _now() -> Batch:
    head = deps().events.head()
    return Batch(head, head, ())

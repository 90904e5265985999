"""Pages that lead on: a cursor tells where a page ended, so any depth costs the same and no page repeats another."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from flask import Response

from cloudx.domain.errors import InvalidInput

from .schemas.common import Parameters

TOTAL_HEADER = "X-Total-Count"
NO_CURSOR = "This is no cursor. Follow next_cursor, or the Link header, of the page before."


def id_of_cursor(cursor: str | None) -> str | None:
    """The id at which the page before ended. Raises InvalidInput."""
    if cursor is None:
        return None
    try:
        return str(UUID(cursor))
    except ValueError:
        raise InvalidInput("cursor", NO_CURSOR) from None


def link_next(response: Response, path: str, query: Parameters, cursor: str | None) -> Response:
    """The response with a Link header to the same query's next page (RFC 8288); unchanged where there is none."""
    if cursor is not None:
        parameters = query.model_dump(exclude_none=True, mode="json") | {"cursor": cursor}
        response.headers["Link"] = f'<{path}?{urlencode(parameters)}>; rel="next"'
    return response

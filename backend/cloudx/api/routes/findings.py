"""What any scan has found."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi.utils import parse_body

from cloudx.memory import trimming

from ..access import Access, access
from ..blueprint import resource
from ..context import deps
from ..found_formats import csv_of_found, ndjson_of_found, place_cursor, read_place, show_found
from ..json_codec import encode, json_response
from ..pages import link_next
from ..schemas.findings import FindingsQuery, FoundPage

blueprint = resource("findings", "/api/findings")

_TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
_TEXT = {"schema": {"type": "string"}}
_PAGE, _page_schemas = parse_body(FoundPage)
blueprint.components_schemas.update(_page_schemas)


@blueprint.get(
    "",
    summary="Search what all scans found: json in pages, ndjson and csv as one stream",
    responses={200: {"content": {**_PAGE, "application/x-ndjson": _TEXT, "text/csv": _TEXT}}},
)
@access(Access.VIEWER)
def find(query: FindingsQuery) -> Any:
    """Newest first. A port that a later scan probed again and did not find is not among the latest."""
    asked, after = query.asked(), read_place(query.cursor)
    if query.format == "json":
        page = deps().find_findings.page(asked, after, query.limit)
        cursor = place_cursor(page.following)
        items = [show_found(row, query.latest) for row in page.rows]
        response = json_response(encode({"items": items, "next_cursor": cursor}))
        return link_next(response, "/api/findings", query, cursor)
    stream = {"ndjson": ndjson_of_found, "csv": csv_of_found}[query.format]
    lines = stream(deps().find_findings.stream(asked), query.latest)
    headers = {"Content-Disposition": f'attachment; filename="findings.{query.format}"'}
    return Response(trimming(lines), content_type=_TYPES[query.format], headers=headers)

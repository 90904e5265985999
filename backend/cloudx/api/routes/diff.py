"""What changed from one scan to another."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi.utils import parse_body

from cloudx.memory import trimming
from cloudx.services.scans.diff import stream_diff

from ..access import Access, access
from ..blueprint import resource
from ..context import deps
from ..diff_formats import csv_of_diff, diff_cursor_of, ndjson_of_diff, read_diff_cursor, show_page
from ..json_codec import encode, json_response
from ..pages import link_next
from ..schemas.common import error_responses
from ..schemas.diff import DiffPage, DiffPath, DiffQuery

blueprint = resource("diff", "/api/scans")

_TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
_TEXT = {"schema": {"type": "string"}}
_PAGE, _page_schemas = parse_body(DiffPage)
blueprint.components_schemas.update(_page_schemas)


@blueprint.get(
    "/<before_id>/diff/<after_id>",
    summary="What opened, closed and changed from one scan to another: json in pages, ndjson and csv as one stream",
    responses={200: {"content": {**_PAGE, "application/x-ndjson": _TEXT, "text/csv": _TEXT}}, **error_responses(404)},
)
@access(Access.VIEWER)
def diff(path: DiffPath, query: DiffQuery) -> Any:
    """In (ip, protocol, port) order. Closed only where the second scan probed it again."""
    if query.format == "json":
        return _page(path, query)
    ids, items = stream_diff(deps().open_ledger, path.before_id, path.after_id, query.changes())
    stream = {"ndjson": ndjson_of_diff, "csv": csv_of_diff}[query.format](items)
    headers = {"Content-Disposition": f'attachment; filename="diff-{ids[0]}-{ids[1]}.{query.format}"'}
    return Response(trimming(stream), content_type=_TYPES[query.format], headers=headers)


def _page(path: DiffPath, query: DiffQuery) -> Response:
    after, summary = read_diff_cursor(query.cursor, path.before_id, path.after_id)
    page = deps().page_diff(path.before_id, path.after_id, query.changes(), after, query.limit, summary)
    cursor = diff_cursor_of(page)
    response = json_response(encode(show_page(page, cursor)))
    return link_next(response, f"/api/scans/{page.before_id}/diff/{page.after_id}", query, cursor)

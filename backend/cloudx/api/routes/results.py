"""What a scan found, and the proof that it left nothing out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response
from flask_openapi.utils import parse_body

from cloudx.domain.scans import Scan
from cloudx.memory import trimming
from cloudx.services.scans.report import read_report
from cloudx.services.scans.results import get_record, page_findings, stream_findings
from cloudx.services.scans.view import ChunkProof, ScanView, prove_coverage

from ..access import Access, access
from ..blueprint import resource
from ..context import deps
from ..json_codec import encode, json_response
from ..nmap_xml.document import nmap_xml_of
from ..pages import link_next
from ..present_scans import show_chunk, show_proof_head
from ..result_formats import csv_of, cursor_of, key_of_cursor, ndjson_of, show_finding
from ..schemas.common import error_responses
from ..schemas.results import ResultsPage, ResultsQuery
from ..schemas.scans import CoverageProof, ScanPath

blueprint = resource("results", "/api/scans")

_TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8", "xml": "application/xml"}
_TEXT = {"schema": {"type": "string"}}
_PAGE, _page_schemas = parse_body(ResultsPage)
blueprint.components_schemas.update(_page_schemas)


@blueprint.get(
    "/<scan_id>/results",
    summary="Findings: json in pages, ndjson, csv and xml as one stream",
    responses={
        200: {"content": {**_PAGE, "application/x-ndjson": _TEXT, "text/csv": _TEXT, "application/xml": _TEXT}},
        **error_responses(404),
    },
)
@access(Access.VIEWER)
def results(path: ScanPath, query: ResultsQuery) -> Any:
    """In (ip, protocol, port) order. The xml is nmap's, by its DTD, for scans of every tool."""
    if query.format == "json":
        return _page(path.scan_id, query)
    scan_id, stream = _xml(path.scan_id) if query.format == "xml" else _lines(path.scan_id, query.format)
    headers = {"Content-Disposition": f'attachment; filename="scan-{scan_id}.{query.format}"'}
    return Response(trimming(stream), content_type=_TYPES[query.format], headers=headers)


def _xml(scan_id: str) -> tuple[str, Iterator[bytes]]:
    """nmap's XML, of every tool's scans."""
    report = read_report(deps().open_ledger, scan_id)
    return report.view.scan.id, nmap_xml_of(report)


def _lines(scan_id: str, form: str) -> tuple[str, Iterator[bytes]]:
    scan_id = get_record(deps().open_ledger, scan_id).scan.id
    rows = stream_findings(deps().open_ledger, scan_id)
    return scan_id, ndjson_of(rows) if form == "ndjson" else csv_of(rows)


def _page(scan_id: str, query: ResultsQuery) -> Response:
    rows, following = page_findings(deps().open_ledger, scan_id, key_of_cursor(query.cursor), query.limit)
    cursor = cursor_of(following)
    response = json_response(encode({"items": [show_finding(row) for row in rows], "next_cursor": cursor}))
    return link_next(response, f"/api/scans/{rows[0].scan_id}/results", query, cursor) if cursor else response


@blueprint.get(
    "/<scan_id>/coverage",
    summary="The proof, by chunk, node and attempt",
    responses={200: CoverageProof, **error_responses(404)},
)
@access(Access.VIEWER)
def coverage(path: ScanPath) -> Any:
    """planned = completed + excluded + failed + remaining; streamed."""
    view, proofs = prove_coverage(deps().open_ledger, path.scan_id)
    return Response(_proof_stream(view, proofs), mimetype="application/json")


def _proof_stream(view: ScanView[Scan], proofs: Iterator[ChunkProof]) -> Iterator[bytes]:
    yield encode(show_proof_head(view))[:-1] + b',"chunks":['
    comma = b""
    for proof in proofs:
        yield comma + encode(show_chunk(proof))
        comma = b",\n"
    yield b"]}"

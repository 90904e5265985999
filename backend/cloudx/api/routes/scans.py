"""Submit, list, show, pause, resume, stop and delete scans."""

from __future__ import annotations

from typing import Any

from cloudx.services.scans.control import delete_scan, pause_scan, resume_scan, stop_scan
from cloudx.services.scans.view import get_scan, list_scans

from ..access import Access, access
from ..blueprint import resource
from ..body_limits import require_scan_fits
from ..context import deps, principal, process
from ..embed_results import LEFT_OUT
from ..json_codec import encode, json_response
from ..metrics.requests import SUBMITTED
from ..pages import TOTAL_HEADER, id_of_cursor, link_next
from ..present_scans import show_listed_scan, show_plan, show_scan_alone
from ..schemas.common import Message, error_responses
from ..schemas.plan import PlannedScan
from ..schemas.scans import ScanDetail, ScanList, ScanPath, ScansQuery, ScanSubmitted, SubmitBody, SubmitHeaders

blueprint = resource("scans", "/api/scans")


@blueprint.post("", summary="Submit a scan", responses={202: ScanSubmitted, **error_responses(409, 413)})
@access(Access.OPERATOR)
def submit(header: SubmitHeaders, body: SubmitBody) -> Any:
    """202 means that the scan is in the database."""
    require_scan_fits(body.tool)
    scan = deps().submit_scan(body.to_request(), principal(), header.idempotency_key)
    SUBMITTED.labels(scan.tool.value).inc()
    return {"job_id": scan.id, "status": scan.status}, 202, {"Location": f"/api/scans/{scan.id}"}


@blueprint.post("/plan", summary="What a scan would cost", responses={200: PlannedScan, **error_responses(409, 413)})
@access(Access.OPERATOR)
def plan(body: SubmitBody) -> Any:
    """The same checks, refusals and plan as a submit has; nothing is written."""
    require_scan_fits(body.tool)
    return json_response(encode(show_plan(deps().plan_scan(body.to_request(), principal()))))


@blueprint.get("", summary="List scans, newest first", responses={200: ScanList})
@access(Access.VIEWER)
def list_all(query: ScansQuery) -> Any:
    """With what each found, up to a bound. The Link header leads to the next page; X-Total-Count counts all pages."""
    tool = query.tool.value if query.tool else None
    before_id = id_of_cursor(query.cursor)
    page = list_scans(deps().open_ledger, limit=query.limit, before_id=before_id, status=query.status, tool=tool)
    results = process().embed_results(page.views) if query.results else [LEFT_OUT] * len(page.views)
    response = json_response(encode([show_listed_scan(*pair) for pair in zip(page.views, results, strict=True)]))
    response.headers[TOTAL_HEADER] = str(page.total)
    return link_next(response, "/api/scans", query, page.next_before_id)


@blueprint.get("/<scan_id>", summary="Show a scan", responses={200: ScanDetail, **error_responses(404)})
@access(Access.VIEWER)
def show(path: ScanPath) -> Any:
    """With its coverage, chunks and workers."""
    view = get_scan(deps().open_ledger, path.scan_id)
    return json_response(encode(show_scan_alone(view, *process().embed_results([view]))))


@blueprint.post("/<scan_id>/stop", summary="Stop a scan", responses={200: Message, **error_responses(404)})
@access(Access.OPERATOR)
def stop(path: ScanPath) -> Any:
    """Its scanners end within seconds; its findings stay."""
    scan = stop_scan(deps().open_ledger, path.scan_id, principal())
    return {"message": f"Scan {scan.id} is {scan.status}."}


@blueprint.post("/<scan_id>/pause", summary="Pause a scan", responses={200: Message, **error_responses(404, 409)})
@access(Access.OPERATOR)
def pause(path: ScanPath) -> Any:
    """Its scanners end within seconds, and what they had under way is run again later; its findings stay."""
    scan = pause_scan(deps().open_ledger, path.scan_id, principal())
    return {"message": f"Scan {scan.id} is paused by {scan.hold.paused_by}."}


@blueprint.post(
    "/<scan_id>/resume", summary="Let a paused scan go on", responses={200: Message, **error_responses(404, 409)}
)
@access(Access.OPERATOR)
def resume(path: ScanPath) -> Any:
    """From where it was; a scan that is not paused stays as it is."""
    scan = resume_scan(deps().open_ledger, path.scan_id, principal())
    return {"message": f"Scan {scan.id} is not paused any more."}


@blueprint.delete("/<scan_id>", summary="Delete a scan", responses={200: Message, **error_responses(404)})
@access(Access.OPERATOR)
def delete(path: ScanPath) -> Any:
    """With all its findings; a running scan ends."""
    delete_scan(deps().open_ledger, path.scan_id, principal())
    return {"message": f"Scan {path.scan_id} is deleted."}

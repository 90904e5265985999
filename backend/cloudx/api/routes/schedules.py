"""Schedules: scans that are submitted again and again."""

from __future__ import annotations

from typing import Any

from cloudx.services.schedules.edit_schedules import delete_schedule

from ..access import Access, access
from ..blueprint import resource
from ..context import deps, principal
from ..metrics.requests import SUBMITTED
from ..present_schedules import show_schedule, show_schedules
from ..schemas.common import Message, error_responses
from ..schemas.policy import RecordPath
from ..schemas.scans import ScanSubmitted
from ..schemas.schedules import ScheduleBody, ScheduleChanges, ScheduleItem, ScheduleList

blueprint = resource("schedules", "/api/schedules")
_REFUSALS = error_responses(404, 409, 413)


@blueprint.get("", summary="List schedules", responses={200: ScheduleList})
@access(Access.VIEWER)
def list_schedules() -> Any:
    """With their next five runs and what became of the last."""
    with deps().open_ledger(read_only=True) as ledger:
        schedules, now = ledger.schedules.all(), ledger.now()
        return show_schedules(schedules, ledger.schedules.statuses(schedules), now)


@blueprint.post("", summary="Make a schedule", responses={201: ScheduleItem, **error_responses(409, 413)})
@access(Access.OPERATOR)
def create_schedule(body: ScheduleBody) -> Any:
    """Each tick submits the scan once, by the scopes and exclusions of that moment."""
    made = deps().edit_schedules.add(principal(), body.to_request())
    return show_schedule(made, {}, made.created_at), 201


@blueprint.patch("/<record_id>", summary="Change a schedule", responses={200: ScheduleItem, **_REFUSALS})
@access(Access.OPERATOR)
def change_schedule(path: RecordPath, body: ScheduleChanges) -> Any:
    """It is then whose who changed it: its scans are submitted as theirs."""
    changed = deps().edit_schedules.change(principal(), path.record_id, body.changes())
    with deps().open_ledger(read_only=True) as ledger:
        return show_schedule(changed, ledger.schedules.statuses([changed]), ledger.now())


@blueprint.post("/<record_id>/run", summary="Run a schedule now", responses={202: ScanSubmitted, **_REFUSALS})
@access(Access.OPERATOR)
def run_schedule(path: RecordPath) -> Any:
    """As the one who asks, beside its ticks, also while an earlier scan of it runs."""
    scan = deps().run_schedules.by_hand(path.record_id, principal())
    SUBMITTED.labels(scan.tool.value).inc()
    return {"job_id": scan.id, "status": scan.status}, 202, {"Location": f"/api/scans/{scan.id}"}


@blueprint.delete("/<record_id>", summary="Forget a schedule", responses={200: Message, **error_responses(404)})
@access(Access.OPERATOR)
def remove_schedule(path: RecordPath) -> Any:
    """The scans that it submitted go on."""
    delete_schedule(deps().open_ledger, principal(), path.record_id)
    return {"message": f"Schedule {path.record_id} is forgotten."}

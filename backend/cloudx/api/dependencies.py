"""What the API needs to do its work; bootstrap fills it in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cloudx.config import Settings
from cloudx.services.access.authenticate import Authenticate
from cloudx.services.access.edit_policy import AddExclusion
from cloudx.services.chunks.work_signal import WorkSignal
from cloudx.services.dispatch.loop import KeepDispatching
from cloudx.services.events.feed import EventFeed
from cloudx.services.figures.count_totals import CountTotals
from cloudx.services.figures.read_state import ReadState
from cloudx.services.fleet.latency import MeasureLatency
from cloudx.services.fleet.ports import HostHistory
from cloudx.services.fleet.readiness import CheckReadiness
from cloudx.services.fleet.watch import FleetWatch
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.rounds import Rounds
from cloudx.services.scans.diff import PageDiff
from cloudx.services.scans.find_probes import FindProbes
from cloudx.services.scans.plan import PlanScan
from cloudx.services.scans.submit import SubmitScan
from cloudx.services.schedules.edit_schedules import EditSchedules
from cloudx.services.schedules.run_due import RunSchedules
from cloudx.services.search.find import FindFindings
from cloudx.services.webhooks.edit import AddWebhook


@dataclass(frozen=True)
class Dependencies:
    """The services and settings of one API process."""

    settings: Settings
    open_ledger: OpenLedger
    add_exclusion: AddExclusion
    submit_scan: SubmitScan
    plan_scan: PlanScan
    edit_schedules: EditSchedules
    run_schedules: RunSchedules
    page_diff: PageDiff
    find_probes: FindProbes
    find_findings: FindFindings
    check_readiness: CheckReadiness
    measure_latency: MeasureLatency
    authenticate: Authenticate
    fleet: FleetWatch
    host_history: HostHistory
    work_signal: WorkSignal
    events: EventFeed
    add_webhook: AddWebhook
    read_state: ReadState
    count_totals: CountTotals
    connections: Callable[[], tuple[int, int, int]]  # of the database: in use, idle, at most
    rounds: tuple[Rounds, ...]  # what this process does again and again
    dispatching: KeepDispatching | None = None  # where Nomad runs the workers; its leader reconciles too

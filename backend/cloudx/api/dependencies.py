"""What the API needs to do its work; bootstrap fills it in."""

from __future__ import annotations

from dataclasses import dataclass

from cloudx.config import Settings
from cloudx.services.authenticate import Authenticate
from cloudx.services.keep_dispatching import KeepDispatching
from cloudx.services.measure_latency import MeasureLatency
from cloudx.services.ports import OpenLedger, Resolver
from cloudx.services.submit_scan import SubmitScan
from cloudx.services.watch_fleet import FleetWatch


@dataclass(frozen=True)
class Dependencies:
    """The services and settings of one API process."""

    settings: Settings
    open_ledger: OpenLedger
    resolver: Resolver
    submit_scan: SubmitScan
    measure_latency: MeasureLatency
    authenticate: Authenticate
    fleet: FleetWatch
    dispatching: KeepDispatching | None = None  # where Nomad runs the workers

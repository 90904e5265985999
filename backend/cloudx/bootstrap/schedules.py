"""Wires what serves schedules outside of the API."""

from __future__ import annotations

from cloudx.config import Executor, Settings
from cloudx.services.schedules.run_due import RunSchedules


def schedule_runner(settings: Settings) -> RunSchedules:
    """Serves due ticks straight on the database; heartbeats alone tell which nodes are fit."""
    from cloudx.adapters.machine.resolver import SystemResolver
    from cloudx.api.schemas.schedules import request_of
    from cloudx.services.access.names_now import NamesNow
    from cloudx.services.access.policy import PolicyCache
    from cloudx.services.fleet.fit import KnownFleet
    from cloudx.services.scans.submit import SubmitScan

    from .database import open_ledger_of

    open_ledger, resolver = open_ledger_of(settings), SystemResolver()
    known = KnownFleet(workers_are_dispatched=settings.cloudx_executor is Executor.NOMAD)
    policies = PolicyCache(NamesNow(resolver))
    submit_scan = SubmitScan(open_ledger, resolver, policies, known, settings.cloudx_chunk_seconds)
    return RunSchedules(open_ledger, submit_scan, request_of)

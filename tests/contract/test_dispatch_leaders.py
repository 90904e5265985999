"""Two processes may both believe that they lead, for a moment: each worker is dispatched once all the same."""

from __future__ import annotations

import threading
from typing import Any

from cloudx.adapters.database import open_ledger_on
from cloudx.adapters.database.leader_lock import PostgresLeaderLock
from cloudx.domain.dispatch.states import DispatchOutcome
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.dispatch.loop import KeepDispatching
from cloudx.services.dispatch.step import DispatchScans
from cloudx.services.fleet.fit import FitCount
from fixtures.dispatch_office import FIT_NODES, Office
from fixtures.ledgers import POSTGRESQL_ALONE, end_leaders_session
from rig.waiting import until


def test_of_two_that_planned_from_the_same_rows_one_dispatches(office: Office) -> None:
    scan = office.submit()

    def fit_once_another_has_dispatched(_type: Any) -> FitCount:
        """The late one has looked by then."""
        if not office.made(scan):
            office.settle()
        return office.fit

    DispatchScans(office.desk.open_ledger, office.nomad, fit_once_another_has_dispatched)()
    office.settle()
    assert len(office.made(scan)) == FIT_NODES


def test_what_another_dispatched_meanwhile_is_no_stray(office):
    scan = office.submit()
    children = office.nomad.children

    def children_once_another_has_dispatched(among: Any = None) -> Any:
        office.nomad.children = children
        office.settle()
        return children(among)

    office.nomad.children = children_once_another_has_dispatched
    office.process()(look_for_strays=True)
    assert len(office.alive(scan)) == len(office.made(scan)) == FIT_NODES


@POSTGRESQL_ALONE
def test_ten_processes_at_once_dispatch_as_one(office, request):
    url = office.desk.engine.url.render_as_string(hide_password=False)
    leader_locks = [PostgresLeaderLock(lambda: url) for _ in range(10)]
    for leader_lock in leader_locks:
        request.addfinalizer(leader_lock.release)
    ledger = open_ledger_on(office.desk.engine)
    keepers = [
        KeepDispatching(
            DispatchScans(ledger, office.nomad, lambda _type: office.fit), lambda: reconcile_scans(ledger), leader_lock
        )
        for leader_lock in leader_locks
    ]
    over = threading.Event()

    def run(keeper: KeepDispatching, leader_lock: PostgresLeaderLock) -> None:
        while not over.is_set():
            leader_lock.wait(min(0.05, keeper.once()))

    threads = [threading.Thread(target=run, args=pair) for pair in zip(keepers, leader_locks, strict=True)]
    for thread in threads:
        thread.start()
    scans = [office.submit() for _ in range(5)]
    try:
        until(lambda: all(len(office.alive(scan)) == FIT_NODES for scan in scans), 20)
        end_leaders_session(office.desk.engine)  # whoever leads is in the middle of something
        for job in office.alive(scans[0]):
            office.nomad.end(job, DispatchOutcome.LOST)
        until(lambda: len(office.alive(scans[0])) == FIT_NODES, 20)
    finally:
        over.set()
        for thread in threads:
            thread.join(10)
    assert [len(office.made(scan)) for scan in scans] == [2 * FIT_NODES, *[FIT_NODES] * 4]

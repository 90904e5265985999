"""One step of dispatching on a real ledger: whoever dies in the middle of it, each row gets exactly one worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import update

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.tables import dispatches
from cloudx.domain.dispatch.states import DispatchOutcome, Placement
from cloudx.domain.errors import Conflict, DependencyUnavailable
from cloudx.domain.scans import Scan
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.fleet.fit import FitCount
from cloudx.services.scans.control import delete_scan, stop_scan
from fixtures.dispatch_office import FIT_NODES, ONE_CHUNK, Office
from fixtures.fakes.scan_jobs import Died, Mortal
from fixtures.ledgers import ADMIN


def every_death(office: Office, prepare: Callable[[], Scan]) -> Iterator[tuple[int, Scan]]:
    """The same thing again and again, the process that does it dying at one moment later each time."""
    moment = 0
    while True:
        scan = prepare()
        mortal = Mortal(dies_at=moment)
        try:
            office.process(mortal)()
        except Died:
            yield moment, scan
            moment += 1
            continue
        assert moment >= 4, "there was nothing to die of"
        return


def test_a_death_at_any_moment_of_a_dispatch_leaves_one_worker_a_row_and_as_many_as_are_wanted(office):
    for moment, scan in every_death(office, office.submit):
        office.settle()
        assert len(office.alive(scan)) == len(office.made(scan)) == FIT_NODES, f"death at moment {moment}"
        assert office.states(scan) == ["sent"] * FIT_NODES
        assert {row["nomad_job_id"] for row in office.rows(scan)} == set(office.alive(scan))
        stop_scan(office.desk.open_ledger, scan.id, ADMIN)
        office.settle()
        assert office.alive(scan) == []


@pytest.mark.parametrize("end", [stop_scan, delete_scan])
def test_a_death_at_any_moment_of_ending_a_scan_s_workers_leaves_none(office: Office, end: Any) -> None:
    def ended() -> Scan:
        scan = office.submit()
        office.settle()
        assert len(office.alive(scan)) == FIT_NODES
        end(office.desk.open_ledger, scan.id, ADMIN)
        return scan

    for moment, scan in every_death(office, ended):
        office.settle()
        assert office.alive(scan) == [], f"death at moment {moment}"
        assert len(office.made(scan)) == FIT_NODES
        assert set(office.states(scan)) == ({"ended"} if end is stop_scan else set())


def test_a_death_at_any_moment_after_workers_died_replaces_each_once(office: Office) -> None:
    def two_dead() -> Scan:
        scan = office.submit()
        office.settle()
        for job in office.alive(scan)[:2]:
            office.nomad.end(job, DispatchOutcome.LOST)
        return scan

    for moment, scan in every_death(office, two_dead):
        office.settle()
        assert (len(office.alive(scan)), len(office.made(scan))) == (FIT_NODES, FIT_NODES + 2), f"moment {moment}"
        assert sorted(office.states(scan)) == ["ended"] * 2 + ["sent"] * FIT_NODES
        stop_scan(office.desk.open_ledger, scan.id, ADMIN)
        office.settle()


def test_a_scan_that_ends_between_the_row_and_its_dispatch_gets_no_worker(office):
    scan = office.submit()
    with pytest.raises(Died):
        office.process(Mortal(dies_at=1))()
    assert office.states(scan) == ["reserved"] * FIT_NODES
    stop_scan(office.desk.open_ledger, scan.id, ADMIN)
    office.settle()
    assert office.made(scan) == []
    assert {row["outcome"] for row in office.rows(scan)} == {"unneeded"}


def test_a_dispatch_that_reaches_nomad_after_its_scan_was_stopped_is_ended_as_a_stray(office):
    scan = office.submit()
    with pytest.raises(Died):
        office.process(Mortal(dies_at=1))()
    late = office.rows(scan)[0]["token"]
    stop_scan(office.desk.open_ledger, scan.id, ADMIN)
    office.settle()
    office.nomad.dispatch(scan.id, late)
    office.settle()
    assert office.alive(scan) == []


def test_when_the_chunks_are_done_the_workers_leave_and_none_is_sent_after_them(office):
    scan = office.submit()
    office.settle()
    while claim := office.desk.claim(only_scan=scan.id):
        office.desk.complete(claim)
    for job in office.alive(scan):
        office.nomad.end(job, DispatchOutcome.FINISHED)
    office.settle()
    assert office.states(scan) == ["ended"] * FIT_NODES == ["ended"] * len(office.made(scan))
    assert not office.process()(), "there is nothing to look after"


def test_while_chunks_are_only_leased_a_worker_that_leaves_is_not_replaced(office):
    scan = office.submit(**ONE_CHUNK)
    office.settle()
    claim = office.desk.must_claim(only_scan=scan.id)
    (job,) = office.alive(scan)
    office.nomad.end(job, DispatchOutcome.FINISHED)
    office.settle()
    assert len(office.made(scan)) == 1
    office.desk.expire(claim)
    reconcile_scans(office.desk.open_ledger)
    office.settle()
    assert len(office.alive(scan)) == 1


def test_the_chunks_of_a_worker_that_its_machine_says_is_dead_are_free_at_once(office):
    scan = office.submit(**ONE_CHUNK)
    office.settle()
    office.desk.must_claim("node/allocation", only_scan=scan.id)
    office.nomad.end(office.alive(scan)[0], DispatchOutcome.LOST, worker_id="node/allocation")
    office.settle()
    assert office.desk.show(scan).tally.chunks_leased == 0
    assert len(office.alive(scan)) == 1
    assert office.desk.must_claim("another", only_scan=scan.id).lease.attempt == 2


def test_the_chunks_of_a_worker_that_nomad_has_only_lost_stay_its_own(office):
    scan = office.submit(**ONE_CHUNK)
    office.settle()
    office.desk.must_claim("node/allocation", only_scan=scan.id)
    office.nomad.end(office.alive(scan)[0], DispatchOutcome.LOST)
    office.settle()
    assert office.desk.show(scan).tally.chunks_leased == 1 and office.alive(scan) == []


@pytest.mark.parametrize(("fit_nodes", "together"), [(3, 1), (36, 3)])
def test_workers_wait_for_the_places_of_those_before_them(office, fit_nodes, together):
    office.fit = FitCount(fit_nodes)
    scan = office.submit()
    office.process()()
    assert sum(office.nomad.placed_together) == len(office.alive(scan)) >= 3
    assert max(office.nomad.placed_together) == together


def test_a_worker_that_left_at_once_and_ran_nothing_is_idle_and_the_next_waits(office):
    scan = office.submit(**ONE_CHUNK)
    office.settle()
    office.nomad.end(office.alive(scan)[0], DispatchOutcome.FINISHED, worker_id="node/allocation")
    office.settle()
    assert [row["outcome"] for row in office.rows(scan)] == ["idle"]
    assert "A worker ended before it ran anything" in (office.reason(scan) or "")


def test_a_scan_that_finds_no_room_says_so_and_goes_on_when_there_is_some(office):
    office.nomad.has_room = False
    scan = office.submit()
    office.settle()
    with office.desk.engine.begin() as connection:
        connection.execute(update(dispatches).values(sent_at=db_now(-2.0)))
    office.process()()
    assert "too little left of: memory" in (office.reason(scan) or "")
    office.nomad.has_room = True
    for child in list(office.nomad.alive.values()):
        office.nomad.alive[child.nomad_job_id] = type(child)(child.nomad_job_id, child.token, Placement.RUNNING)
    office.settle()
    assert office.reason(scan) is None


def test_while_nomad_does_not_answer_each_waiting_scan_says_so_and_nothing_is_lost(office):
    scan = office.submit()
    office.nomad.is_away = True
    for _ in range(3):
        with pytest.raises(DependencyUnavailable):
            office.process()()
    assert "Nomad does not answer" in (office.reason(scan) or "")
    office.nomad.is_away = False
    office.settle()
    assert len(office.made(scan)) == FIT_NODES and office.reason(scan) is None


def test_a_scan_s_own_cap_and_the_fit_nodes_bound_its_workers(office):
    office.desk.submit_scan = office.desk.submit_scan.__class__(
        office.desk.open_ledger, office.desk.submit_scan.resolver, office.desk.policies, dispatching_fleet()
    )
    capped = office.submit(max_workers=2)
    office.settle()
    assert len(office.alive(capped)) == 2
    office.fit = FitCount(0, "No node can run masscan tcp_scan now (n1: it is critical).")
    unfit = office.submit()
    office.settle()
    assert office.made(unfit) == [] and "n1: it is critical" in (office.reason(unfit) or "")


def test_a_worker_on_an_unfit_machine_takes_no_fit_one_s_place(office):
    office.fit = FitCount(2, unfit=frozenset({"broken"}))
    office.nomad.placed["scan/dispatch-1"] = "broken"
    scan = office.submit()
    office.settle()
    assert len(office.alive(scan)) == 3
    office.settle()
    assert len(office.made(scan)) == 3


def dispatching_fleet() -> Any:
    from cloudx.services.fleet.fit import KnownFleet

    return KnownFleet(workers_are_dispatched=True)


def test_with_nothing_to_do_nomad_is_not_asked(office):
    office.nomad.is_away = True
    assert not office.process()()


def test_a_token_is_the_database_s_to_give_once(office):
    scan = office.submit()
    with office.desk.open_ledger() as ledger:
        assert ledger.dispatches.reserve(scan.id, 1, "a-token").serial == 1
        ledger.commit()
    with pytest.raises(Conflict), office.desk.open_ledger() as ledger:
        ledger.dispatches.reserve(office.submit().id, 1, "a-token")

"""The ledger in numbers, as operators see it: its state at a moment, and what has been done since the last look."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import update

from cloudx.adapters.database.schema.tables import chunks, scans
from cloudx.domain.operating.rate_use import RateBand
from cloudx.domain.operating.waiting import WaitReason
from cloudx.services.chunks.finish import fail_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.figures.count_totals import CountTotals
from cloudx.services.figures.read_state import ReadState, StateFigures
from cloudx.services.fleet.fit import CountFit, KnownFleet
from cloudx.services.fleet.read_changes import LedgerFleet
from cloudx.services.fleet.watch import FleetWatch
from cloudx.services.ledger.figures import LedgerState, Total, TotalKey, Totals
from cloudx.services.scans.control import delete_scan, pause_scan, stop_scan
from fixtures.ledgers import ADMIN, LONG_AGO, Desk, found


def state_of(desk: Desk) -> LedgerState:
    with desk.open_ledger(read_only=True) as ledger:
        return ledger.figures.state()


def figures_of(desk: Desk) -> StateFigures:
    """All that is published of one reading."""
    fleet = FleetWatch(LedgerFleet(desk.open_ledger))
    read: list[StateFigures] = []
    count_fit = CountFit(lambda: fleet.current().reading, KnownFleet())
    ReadState(desk.open_ledger, fleet.current, count_fit, lambda: True, [read.append])()
    return read[0]


class Counting:
    """What a counter that looks at a ledger has added up."""

    def __init__(self, desk: Desk) -> None:
        self.now = 0.0
        self.sum: Totals = Totals()
        self._look = CountTotals(desk.open_ledger, lambda: True, [self.sum.update], lambda: self.now)
        self._look()

    def look(self) -> Totals:
        self.now += 1_000
        self._look()
        return self.sum


def make_old(desk: Desk, seconds: float) -> None:
    """Let every scan have come so long ago."""
    with desk.engine.begin() as connection, desk.open_ledger(read_only=True) as ledger:
        connection.execute(update(scans).values(created_at=ledger.now() - timedelta(seconds=seconds)))


def test_an_empty_ledger_has_nothing_late_and_nothing_that_waits(desk: Desk) -> None:
    figures = figures_of(desk)
    assert figures.ledger.leases.held == figures.ledger.leases.overdue == 0
    assert sum(figures.waits.scans.values()) == sum(figures.chunks_pending.values()) == 0
    assert figures.rate.nodes_granted_pps == 0


def test_a_lease_that_has_run_out_is_overdue_until_somebody_takes_it_back(desk: Desk) -> None:
    desk.submit("10.0.0.0/24")
    claim = desk.must_claim()
    leases = state_of(desk).leases
    assert (leases.held, leases.overdue, leases.first_ran_out_at) == (1, 0, None)
    assert leases.renewed_first_at == leases.renewed_last_at
    with desk.engine.begin() as connection:
        connection.execute(update(chunks).where(chunks.c.scan_id == claim.scan.id).values(lease_until=LONG_AGO))
    leases = state_of(desk).leases
    assert (leases.held, leases.overdue, leases.first_ran_out_at) == (1, 1, LONG_AGO)
    reconcile_scans(desk.open_ledger)
    assert state_of(desk).leases.overdue == 0


def test_what_is_granted_is_told_by_node_and_by_scan_and_nodes_by_band(desk: Desk) -> None:
    desk.register("fast", rate_limit_pps=10_000)
    desk.register("slow", rate_limit_pps=1_000)
    desk.submit("10.0.0.0/16", rate_pps=900)
    claim = desk.must_claim("w", "slow")
    figures = figures_of(desk)
    granted = claim.lease.rate_pps
    assert figures.ledger.granted_pps == {"slow": granted}
    assert (figures.rate.nodes_granted_pps, figures.rate.nodes_limit_pps) == (granted, 11_000)
    assert (figures.rate.scans_granted_pps, figures.rate.scans_limit_pps) == (granted, 900)
    bands = {band: nodes for band, nodes in figures.rate.nodes_by_band.items() if nodes}
    assert bands == {RateBand.NONE: 1, RateBand.UP_TO_95: 1}


def test_chunks_that_wait_are_counted_by_tool(desk: Desk) -> None:
    masscan, zmap = desk.submit("10.0.0.0/16"), desk.submit("10.1.0.0/16", tool="zmap")
    before = figures_of(desk).chunks_pending
    assert before["masscan"] > 1 and before["zmap"] > 1
    claim = desk.must_claim()
    after = figures_of(desk).chunks_pending
    assert before[claim.scan.tool.value] - after[claim.scan.tool.value] == 1
    for scan in (masscan, zmap):
        stop_scan(desk.open_ledger, scan.id, ADMIN)
    assert sum(figures_of(desk).chunks_pending.values()) == 0


def test_a_scan_that_nobody_runs_waits_for_a_worker_and_tells_how_long(desk: Desk) -> None:
    desk.submit("10.0.0.0/24")
    make_old(desk, seconds=100)
    waits = figures_of(desk).waits
    assert {reason for reason, many in waits.scans.items() if many} == {WaitReason.WORKER}
    assert 100 <= waits.oldest_seconds[WaitReason.WORKER] < 1_000
    desk.must_claim()
    assert sum(figures_of(desk).waits.scans.values()) == 0


def test_a_scan_whose_nodes_went_away_waits_for_a_node(desk: Desk) -> None:
    desk.submit("10.0.0.0/24")
    make_old(desk, seconds=100)
    with desk.open_ledger() as ledger:
        ledger.nodes.delete("node-1")
        ledger.commit()
    assert figures_of(desk).waits.scans[WaitReason.NO_NODE] == 1


def test_a_scan_that_is_paused_is_held(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    make_old(desk, seconds=100)
    pause_scan(desk.open_ledger, scan.id, ADMIN)
    assert {reason for reason, many in figures_of(desk).waits.scans.items() if many} == {WaitReason.HELD}


def test_a_scan_whose_only_chunk_has_just_failed_backs_off(desk: Desk) -> None:
    desk.submit("10.0.0.0/30")
    fail_chunk(desk.open_ledger, desk.must_claim(), "the tool broke")
    make_old(desk, seconds=100)
    assert figures_of(desk).waits.scans[WaitReason.BACK_OFF] == 1


def test_a_scan_that_nomad_has_no_room_for_says_nomad(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    make_old(desk, seconds=100)
    with desk.open_ledger() as ledger:
        ledger.dispatches.set_waiting_reason(scan.id, "Nomad has no room for 1 worker more: memory.")
        ledger.commit()
    assert figures_of(desk).waits.scans[WaitReason.NOMAD] == 1


def test_what_is_done_is_counted_once_however_often_it_is_looked_at(desk: Desk) -> None:
    counting = Counting(desk)
    scan = desk.submit("10.0.0.0/30")
    desk.complete(desk.must_claim(), found("10.0.0.1"), found("10.0.0.2"))
    for _ in range(3):
        counted = counting.look()
    assert counted == {
        TotalKey(Total.CHUNKS, "masscan", "done"): 1,
        TotalKey(Total.ATTEMPTS, "masscan", "done"): 1,
        TotalKey(Total.UNITS, "masscan", "completed"): scan.planned_units,
        TotalKey(Total.FINDINGS, "masscan"): 2,
    }


def test_a_lost_attempt_and_the_try_after_it_are_counted(desk: Desk) -> None:
    counting = Counting(desk)
    desk.submit("10.0.0.0/30")
    desk.must_claim()
    with desk.engine.begin() as connection:
        connection.execute(update(chunks).values(lease_until=LONG_AGO))
    reconcile_scans(desk.open_ledger)
    counting.look()
    claim = desk.must_claim("w2")
    counting.look()
    desk.complete(claim)
    counted = counting.look()
    assert counted[TotalKey(Total.RETRIES, "masscan")] == 1
    assert counted[TotalKey(Total.ATTEMPTS, "masscan", "lost")] == 1
    assert counted[TotalKey(Total.ATTEMPTS, "masscan", "done")] == 1


def test_a_counter_never_falls_and_counts_nothing_of_before_its_start(desk: Desk) -> None:
    old = desk.submit("10.0.0.0/30")
    desk.complete(desk.must_claim(), found("10.0.0.1"))
    counting = Counting(desk)
    assert counting.look() == {}
    delete_scan(desk.open_ledger, old.id, ADMIN)
    assert counting.look() == {}


def test_a_process_whose_turn_it_is_not_asks_the_ledger_nothing(desk: Desk) -> None:
    def fail(**_: bool) -> None:
        raise AssertionError("it asked")

    fleet = FleetWatch(LedgerFleet(desk.open_ledger))
    count_fit = CountFit(lambda: fleet.current().reading, KnownFleet())
    ReadState(fail, fleet.current, count_fit, lambda: False)()  # type: ignore[arg-type]
    CountTotals(fail, lambda: False)()  # type: ignore[arg-type]


def test_an_offline_nodes_limit_is_no_rate_that_could_be_used(desk: Desk) -> None:
    desk.register("here", rate_limit_pps=1_000)
    desk.register("gone", rate_limit_pps=5_000)
    with desk.open_ledger() as ledger:
        gone = ledger.nodes.get("gone")
        assert gone is not None
        ledger.nodes.save(replace(gone, last_seen=LONG_AGO))
        ledger.commit()
    figures = figures_of(desk)
    assert figures.rate.nodes_limit_pps == 1_000

"""Any order of claims, ends, silences, exclusions, pauses and stops on a real SQLite ledger keeps the books right."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import RowMapping

from cloudx.adapters.database import engine_for, open_ledger_on
from cloudx.domain.chunks import CHUNK_TRANSITIONS, ChunkState
from cloudx.domain.errors import LeaseLost
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.access.edit_policy import AddExclusion
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import fail_chunk, release_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.chunks.renew import RenewalResult
from cloudx.services.chunks.split import split_stragglers
from cloudx.services.scans.control import pause_scan, resume_scan, stop_scan
from cloudx.services.scans.results import stream_findings
from fixtures.ledgers import ADMIN, Desk, NameTable, found

WORKERS = st.sampled_from([("w0", "n0"), ("w1", "n1"), ("w2", "n2"), ("w3", "n2")])
RATE_PPS = 2


class LedgerMachine(RuleBasedStateMachine):
    """Keeps its own book of who holds what, and compares it with the ledger after every step."""

    template: Path
    claims = Bundle("claims")  # stale ones included: late workers come back

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="cx-machine-"))
        shutil.copy(self.template, self._folder / "ledger.db")
        self._engine = engine_for(f"sqlite:///{self._folder / 'ledger.db'}")
        self.desk = Desk(open_ledger_on(self._engine), self._engine)
        self.holders: dict[int, Claim] = {}  # chunk → the claim that holds it
        self.counted: set[int] = set()
        self.states: dict[int, ChunkState] = {}
        self.scan: Scan

    @initialize(hosts=st.integers(1, 70))
    def submit(self, hosts: int) -> None:
        """One scan of a few chunks."""
        for number in range(2, 5):
            self.desk.register(f"node-{number}", rate_limit_pps=RATE_PPS)
        self.scan = self.desk.submit(f"10.0.0.0-{hosts - 1}", rate_pps=RATE_PPS)
        self.states = self._stored_states()

    @rule(target=claims, who=WORKERS)
    def claim(self, who: tuple[str, str]) -> Claim | None:
        """A worker asks for work."""
        claim = self.desk.claim(*who)
        if claim is not None:
            assert not self._is_paused()
            number = claim.lease.span.number
            assert number not in self.holders
            assert number not in self.counted
            self.holders[number] = claim
        return claim

    @rule(claim=claims, sending=st.booleans(), share=st.floats(0, 1))
    def renew(self, claim: Claim | None, sending: bool, share: float) -> None:
        """A worker renews, whether it still may or not."""
        if claim is None or (sending and not self._row(claim)["sending"]):
            return  # a worker never begins to send again
        order = self.desk.renew(claim, share, sending)
        if not self._holds(claim) or self._is_final() or self._is_paused():
            assert order is RenewalResult.DROP
        else:
            assert order is not RenewalResult.DROP

    @rule(claim=claims)
    def complete(self, claim: Claim | None) -> None:
        """A worker commits, whether it still may or not."""
        if claim is None:
            return
        findings = [found(str(address)) for address in claim.addresses]
        if self._holds(claim):
            assert self.desk.complete(claim, *findings) == len(findings)
            self.counted.add(claim.lease.span.number)
            del self.holders[claim.lease.span.number]
        else:
            with pytest.raises(LeaseLost):
                self.desk.complete(claim, *findings)

    @rule(claim=claims)
    def fail(self, claim: Claim | None) -> None:
        """A run failed."""
        if claim is None:
            return
        if self._holds(claim):
            fail_chunk(self.desk.open_ledger, claim, "boom")
            del self.holders[claim.lease.span.number]
        else:
            with pytest.raises(LeaseLost):
                fail_chunk(self.desk.open_ledger, claim, "boom")

    @rule(claim=claims)
    def give_back(self, claim: Claim | None) -> None:
        """A worker leaves."""
        if claim is not None:
            release_chunk(self.desk.open_ledger, claim)
            if self._holds(claim):
                del self.holders[claim.lease.span.number]

    @rule(claim=claims)
    def fall_silent(self, claim: Claim | None) -> None:
        """A lease runs out, and somebody notices."""
        if claim is None or not self._holds(claim):
            return
        self.desk.expire(claim)
        assert reconcile_scans(self.desk.open_ledger) == 1
        del self.holders[claim.lease.span.number]

    @precondition(lambda self: self.holders)
    @rule()
    def run_the_rest(self) -> None:
        """A willing worker runs all there is to claim, so that only what others hold is left."""
        while claim := self.desk.claim("willing", "n8"):
            self.desk.complete(claim, *[found(str(address)) for address in claim.addresses])
            self.counted.add(claim.lease.span.number)
            self.states[claim.lease.span.number] = ChunkState.DONE

    @precondition(lambda self: any(self._row(claim)["sending"] for claim in self.holders.values()))
    @rule(share=st.floats(0, 0.2), held_seconds=st.integers(30, 3000))
    def straggle(self, share: float, held_seconds: int) -> None:
        """Some workers are slow, and somebody looks whether a chunk of theirs is worth cutting again."""
        self.desk.end_back_off(self.scan)
        self.run_the_rest()
        for claim in self.holders.values():
            if self._row(claim)["sending"]:
                self.desk.age(claim, held_seconds, share)
        before = self.desk.chunk_rows(self.scan)
        cut = split_stragglers(self.desk.open_ledger)
        after = self.desk.chunk_rows(self.scan)
        assert cut <= 1
        assert bool(cut) == (len(after) > len(before))
        if cut:
            assert "pending" not in {row["state"] for row in before}
            (number,) = [a["number"] for a, b in zip(after, before, strict=False) if a["recuts"] > b["recuts"]]
            del self.holders[number]

    @rule()
    def let_time_pass(self) -> None:
        """Failed chunks may be tried again."""
        self.desk.end_back_off(self.scan)

    @rule(host=st.integers(0, 69))
    def exclude(self, host: int) -> None:
        """An address is never to be probed any more."""
        AddExclusion(self.desk.open_ledger, NameTable())(ADMIN, targets=(f"10.0.0.{host}",), note="")

    @precondition(lambda self: not self._is_final())
    @rule()
    def pause_or_resume(self) -> None:
        """Somebody holds the scan, or lets it go on."""
        change = resume_scan if self._is_paused() else pause_scan
        change(self.desk.open_ledger, self.scan.id, ADMIN)

    @precondition(lambda self: len(self.counted) > 1)
    @rule()
    def stop(self) -> None:
        """Somebody stops the scan."""
        stop_scan(self.desk.open_ledger, self.scan.id, ADMIN)

    @invariant()
    def books_balance(self) -> None:
        """Every unit is accounted for once, by the counters and by the chunks."""
        if not hasattr(self, "scan"):
            return
        view, rows = self.desk.show(self.scan), self.desk.chunk_rows(self.scan)
        assert view.coverage.balances
        assert (view.coverage.remaining == 0) == (self.counted_or_failed(rows) == len(rows))
        done = [row for row in rows if row["state"] == "done"]
        assert {row["number"] for row in done} == self.counted
        units = sum(row["address_count"] * row["port_count"] - row["excluded_units"] for row in done)
        assert view.coverage.completed == units
        leased = {row["number"]: row["attempt"] for row in rows if row["state"] == "leased"}
        assert leased == {number: claim.lease.attempt for number, claim in self.holders.items()}
        assert sum(row["rate_pps"] for row in rows if row["state"] == "leased" and row["sending"]) <= RATE_PPS
        assert self.desk.books(self.scan) == self.desk.recounted(self.scan)
        assert [row["number"] for row in rows] == list(range(view.tally.chunks_total))
        assert sum(row["address_count"] * row["port_count"] for row in rows) == self.scan.addresses.size
        keys = [(row.ip, row.protocol, row.port) for row in stream_findings(self.desk.open_ledger, self.scan.id)]
        assert len(keys) == len(set(keys)) == units

    @invariant()
    def chunks_move_as_the_table_says(self) -> None:
        """Each state was reached over legal steps; a claim that ends within one step may hide the leased state."""
        if not hasattr(self, "scan"):
            return
        now = self._stored_states()
        for number, state in now.items():
            before = self.states.get(number, ChunkState.PENDING)  # new ones are parts of another
            assert state == before or state in CHUNK_TRANSITIONS[before]
        self.states = now

    @staticmethod
    def counted_or_failed(rows: list[RowMapping]) -> int:
        """How many chunks are settled for good."""
        return sum(row["state"] in ("done", "failed") for row in rows)

    def teardown(self) -> None:
        """Whatever happened, one willing worker brings the scan to its end."""
        try:
            if hasattr(self, "scan"):
                self._finish()
        finally:
            self._engine.dispose()
            shutil.rmtree(self._folder)

    def _finish(self) -> None:
        for held in self.holders.values():
            release_chunk(self.desk.open_ledger, held)
        self.desk.end_back_off(self.scan)
        if self._is_paused() and not self._is_final():
            resume_scan(self.desk.open_ledger, self.scan.id, ADMIN)
        while claim := self.desk.claim("last", "n9"):
            self.desk.complete(claim, *[found(str(address)) for address in claim.addresses])
        view = self.desk.show(self.scan)
        assert view.scan.status.is_final
        assert view.coverage.balances
        if view.scan.status is not ScanStatus.STOPPED:
            assert (view.coverage.balances, view.coverage.remaining) == (True, 0)
            failed = [row for row in self.desk.chunk_rows(self.scan) if row["state"] == "failed"]
            assert (view.scan.status is ScanStatus.FAILED) == bool(failed)

    def _holds(self, claim: Claim) -> bool:
        return self.holders.get(claim.lease.span.number) is claim

    def _is_final(self) -> bool:
        return self.desk.show(self.scan).scan.status.is_final

    def _is_paused(self) -> bool:
        return self.desk.show(self.scan).scan.hold.is_paused

    def _row(self, claim: Claim) -> RowMapping:
        return self.desk.chunk_rows(self.scan)[claim.lease.span.number]

    def _stored_states(self) -> dict[int, ChunkState]:
        return {row["number"]: ChunkState(row["state"]) for row in self.desk.chunk_rows(self.scan)}


def test_any_order_of_events_keeps_the_books_right_and_the_scan_ends_complete(sqlite_template: Path) -> None:
    LedgerMachine.template = sqlite_template
    checked = settings(
        max_examples=25,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],  # shrinking a failure takes minutes here; 40 steps are read as they are
    )
    run_state_machine_as_test(LedgerMachine, settings=checked)

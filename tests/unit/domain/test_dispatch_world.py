"""The actions in a world that does what it likes: workers die, machines vanish, who decides is killed at any point."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cloudx.domain.dispatch.actions import IN_FLIGHT_LIMIT, plan_actions
from cloudx.domain.dispatch.states import Child, Demand, Dispatch, DispatchOutcome, DispatchState, Observed, Placement
from fixtures.dispatch_rows import NOW

SCANS = ("a", "b")
LIVE = (Placement.WAITING, Placement.STARTING, Placement.RUNNING)
LONG = timedelta(seconds=61)  # longer than any back-off


class Killed(Exception):
    """Who decided is dead."""


class World(RuleBasedStateMachine):
    """A ledger, a Nomad that knows tokens, and scans whose chunks workers take."""

    @initialize(
        pending=st.tuples(st.integers(0, 30), st.integers(0, 30)),
        fit=st.integers(0, 12),
        caps=st.tuples(st.none() | st.integers(1, 6), st.none() | st.integers(1, 6)),
    )
    def begin(self, pending, fit, caps):
        self.now, self.fit, self.room = NOW, fit, True
        self.pending = dict(zip(SCANS, pending, strict=True))
        self.caps = dict(zip(SCANS, caps, strict=True))
        self.over: set[str] = set()
        self.rows: dict[str, Dispatch] = {}
        self.children: dict[str, Child] = {}  # by token, those not over
        self.endings: dict[str, DispatchOutcome] = {}
        self.holding: dict[str, int] = {}  # chunks by the worker's token
        self.asked: list[str] = []
        self.steps_left: int | None = None

    # --- who decides

    def act(self):
        """Before each single thing it does, it may be killed."""
        if self.steps_left is not None:
            if self.steps_left == 0:
                raise Killed
            self.steps_left -= 1

    def demands(self):
        return [
            Demand(scan, self.pending[scan], self.leased(scan), self.fit, self.caps[scan])
            for scan in SCANS
            if scan not in self.over
        ]

    def leased(self, scan):
        return sum(count for token, count in self.holding.items() if self.rows[token].scan_id == scan)

    def observed(self):
        no_room = {c.nomad_job_id: "full" for c in self.children.values() if c.placement is Placement.WAITING}
        rows = sorted(self.rows.values(), key=lambda row: (row.scan_id, row.serial))
        return Observed(self.now, self.demands(), rows, list(self.children.values()), {} if self.room else no_room)

    def step(self):
        actions = plan_actions(self.observed())
        here = {d.scan_id: [t for t, c in self.children.items() if self.live(t, d.scan_id)] for d in self.demands()}
        for row, job in actions.record:
            self.act()
            self.put(row, state=DispatchState.SENT, nomad_job_id=job, sent_at=row.sent_at or self.now)
        for row in actions.examine:
            self.act()
            outcome = self.endings.get(row.token, DispatchOutcome.GONE)
            self.put(row, state=DispatchState.ENDED, ended_at=self.now, outcome=outcome)
        for row in actions.cancel:
            self.act()
            self.put(row, state=DispatchState.ENDED, ended_at=self.now, outcome=DispatchOutcome.UNNEEDED)
        for row, _, outcome in actions.stop:
            self.act()
            self.end_child(row.token, outcome)
            self.act()
            self.put(row, state=DispatchState.ENDED, ended_at=self.now, outcome=outcome)
        assert actions.stray == (), "no killing leaves a job that no row knows"
        fresh = []
        for scan in actions.reserve:
            self.act()
            fresh.append(self.reserve(scan))
        for demand in self.demands():
            stopped = sum(row.scan_id == demand.scan_id for row, *_ in actions.stop)
            new = actions.reserve.count(demand.scan_id) + sum(row.scan_id == demand.scan_id for row in actions.send)
            assert new == 0 or len(here[demand.scan_id]) - stopped + new <= demand.wanted, "more than wanted"
        for row in (*actions.send, *fresh):
            self.act()
            self.ask_nomad(row)
            self.act()
            self.put(self.rows[row.token], state=DispatchState.SENT, nomad_job_id=f"job-{row.token}", sent_at=self.now)
        return actions

    def live(self, token, scan):
        return self.rows[token].scan_id == scan and self.children[token].placement in LIVE

    def put(self, row, **values):
        self.rows[row.token] = replace(self.rows[row.token], **values)

    def reserve(self, scan):
        serial = 1 + max((row.serial for row in self.rows.values() if row.scan_id == scan), default=0)
        row = Dispatch(scan, serial, f"{scan}-{serial}", DispatchState.RESERVED, self.now)
        self.rows[row.token] = row
        return row

    def ask_nomad(self, row):
        """The token again starts no second one, dead or alive."""
        if row.token not in self.asked:
            self.asked.append(row.token)
            self.children[row.token] = Child(f"job-{row.token}", row.token, Placement.WAITING)

    def end_child(self, token, outcome):
        if self.children.pop(token, None) is None:
            return
        self.endings[token] = outcome
        scan = self.rows[token].scan_id
        if scan not in self.over:
            self.pending[scan] += self.holding.get(token, 0)
        self.holding.pop(token, None)

    # --- what happens

    @rule()
    def look(self):
        self.step()

    @rule(after=st.integers(0, 25))
    def look_and_be_killed(self, after):
        self.steps_left = after
        try:
            self.step()
        except Killed:
            pass
        finally:
            self.steps_left = None

    @rule(seconds=st.sampled_from([0.25, 3, 20, 70]))
    def time_passes(self, seconds):
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.children)
    @rule(data=st.data())
    def a_worker_gets_on(self, data):
        token = data.draw(st.sampled_from(sorted(self.children)))
        self.get_on(token)

    def get_on(self, token):
        child = self.children[token]
        scan = self.rows[token].scan_id
        if child.placement is Placement.WAITING and self.room:
            self.children[token] = replace(child, placement=Placement.STARTING)
        elif child.placement in (Placement.STARTING, Placement.AWAY):
            self.children[token] = replace(child, placement=Placement.RUNNING)
        elif child.placement is Placement.RUNNING and self.pending[scan]:
            self.pending[scan] -= 1
            self.holding[token] = self.holding.get(token, 0) + 1
        elif child.placement is Placement.RUNNING and self.holding.get(token):
            self.holding[token] -= 1
        elif child.placement is Placement.RUNNING:
            self.end_child(token, DispatchOutcome.FINISHED)

    @precondition(lambda self: self.children)
    @rule(data=st.data(), outcome=st.sampled_from([DispatchOutcome.FAILED, DispatchOutcome.LOST, DispatchOutcome.IDLE]))
    def a_worker_dies(self, data, outcome):
        token = data.draw(st.sampled_from(sorted(self.children)))
        if self.children[token].placement is not Placement.WAITING:
            self.end_child(token, outcome)

    @precondition(lambda self: self.children)
    @rule(data=st.data())
    def nomad_loses_a_machine(self, data):
        token = data.draw(st.sampled_from(sorted(self.children)))
        if self.children[token].placement is Placement.RUNNING:
            self.children[token] = replace(self.children[token], placement=Placement.AWAY)

    @rule(room=st.booleans(), fit=st.integers(0, 12))
    def the_fleet_changes(self, room, fit):
        self.room, self.fit = room, fit

    @rule(scan=st.sampled_from(SCANS))
    def a_scan_is_stopped(self, scan):
        self.over.add(scan)
        self.pending[scan] = 0

    # --- what holds

    @invariant()
    def nomad_was_asked_for_nothing_that_the_ledger_does_not_know(self):
        assert set(getattr(self, "asked", [])) <= set(getattr(self, "rows", {}))

    @invariant()
    def no_more_wait_at_nomad_than_the_limit(self):
        waiting = [c for c in getattr(self, "children", {}).values() if c.placement is Placement.WAITING]
        assert len(waiting) <= IN_FLIGHT_LIMIT

    def teardown(self):
        """Left in peace, every scan gets what it can use, and what is over is gone."""
        if not hasattr(self, "rows"):
            return
        self.room = True
        for _ in range(12):
            self.now += LONG
            self.step()
            for token in list(self.children):
                if self.children[token].placement is not Placement.RUNNING:
                    self.get_on(token)
        for demand in self.demands():
            running = sum(self.live(token, demand.scan_id) for token in self.children)
            assert running >= min(demand.pending, demand.wanted), "not enough"
            assert demand.max_workers is None or running <= demand.max_workers
        assert all(self.rows[token].scan_id not in self.over for token in self.children)
        assert all(row.state is DispatchState.ENDED for row in self.rows.values() if row.scan_id in self.over)


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)

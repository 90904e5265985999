"""Which scan workers the plan starts at Nomad, and which it ends."""

from __future__ import annotations

import pytest

from cloudx.domain.dispatch.actions import IN_FLIGHT_LIMIT, count_together, plan_actions
from cloudx.domain.dispatch.scan_workers import PATIENCE, RETRY, count_waves
from cloudx.domain.dispatch.states import Actions, DispatchOutcome, Placement
from fixtures.dispatch_rows import child, demand, ended, job_of, observed, reserved, sent

NOTHING = Actions()
RUNNING, STARTING, WAITING, AWAY = Placement.RUNNING, Placement.STARTING, Placement.WAITING, Placement.AWAY


@pytest.mark.parametrize(
    ("pending", "leased", "fit_nodes", "cap", "workers"),
    [
        (10, 0, 4, None, 4),  # a worker a fit node
        (3, 0, 4, None, 3),  # no more than there is to do
        (10, 0, 4, 2, 2),  # the scan's own cap
        (10, 0, 0, None, 0),
        (0, 0, 4, None, 0),
        (0, 3, 4, None, 0),  # what is leased has somebody
    ],
)
def test_a_scan_gets_a_worker_for_each_fit_node_but_no_more_than_it_has_chunks_or_its_cap(
    pending, leased, fit_nodes, cap, workers
):
    actions = plan_actions(observed([demand(pending=pending, leased=leased, fit_nodes=fit_nodes, max_workers=cap)]))
    assert actions.reserve == ("a",) * workers


def test_the_smaller_the_fleet_the_fewer_workers_are_placed_without_seeing_each_other():
    assert [count_together(nodes) for nodes in (0, 1, 8, 15, 16, 100, 3000)] == [1, 1, 1, 1, 2, 5, 27]
    assert plan_actions(observed([demand("a", fit_nodes=400), demand("b", fit_nodes=40)])).place_together == 3


def test_a_scan_that_has_its_workers_needs_nothing():
    rows, children = [sent(n) for n in range(1, 5)], [child(n) for n in range(1, 5)]
    assert plan_actions(observed([demand(pending=5, leased=4)], rows, children)) == NOTHING


def test_a_worker_that_left_for_want_of_a_chunk_is_not_replaced():
    rows = [sent(1), sent(2), ended(3, DispatchOutcome.FINISHED), ended(4, DispatchOutcome.FINISHED)]
    assert plan_actions(observed([demand(pending=0, leased=6)], rows, [child(1), child(2)])) == NOTHING


def test_a_dead_worker_is_replaced_once_its_chunk_is_nobody_s_again():
    rows = [sent(1), ended(2, DispatchOutcome.FAILED, lived=600)]
    assert plan_actions(observed([demand(pending=0, leased=2)], rows, [child(1)])) == NOTHING
    assert plan_actions(observed([demand(pending=1, leased=1)], rows, [child(1)])).reserve == ("a",)


def test_a_worker_that_runs_several_chunks_leaves_no_more_than_the_pending_ones_for_others():
    actions = plan_actions(
        observed([demand(pending=2, leased=8, fit_nodes=8)], [sent(1), sent(2)], [child(1), child(2)])
    )
    assert actions.reserve == ("a", "a")


@pytest.mark.parametrize("placement", [WAITING, STARTING])
def test_those_on_their_way_are_counted_against_the_chunks_they_will_take(placement):
    actions = plan_actions(observed([demand(pending=1, leased=3)], [sent(1), sent(2)], [child(1), child(2, placement)]))
    assert actions.reserve == ()


def test_how_one_ended_is_asked_before_it_is_replaced():
    actions = plan_actions(observed([demand()], [sent(1)], []))
    assert (actions.examine, actions.reserve) == ((sent(1),), ())


def test_a_row_that_nomad_was_not_asked_for_is_sent_and_no_other_is_written_for_it():
    actions = plan_actions(observed([demand(fit_nodes=2)], [reserved(1), sent(2)], [child(2)]))
    assert actions == Actions(send=(reserved(1),))


def test_a_row_whose_job_is_there_already_is_recorded_and_not_sent_again():
    actions = plan_actions(observed([demand(fit_nodes=1)], [reserved(1)], [child(1, STARTING)]))
    assert actions == Actions(record=((reserved(1), job_of(1)),))


def test_a_row_that_others_left_nothing_for_is_cancelled_unsent():
    actions = plan_actions(
        observed([demand(pending=0, leased=2)], [sent(1), sent(2), reserved(3)], [child(1), child(2)])
    )
    assert actions == Actions(cancel=(reserved(3),))


def test_workers_of_a_stopped_or_deleted_scan_are_ended_and_rows_never_sent_are_cancelled():
    actions = plan_actions(observed([], [sent(1), reserved(2), sent(3)], [child(1), child(3, WAITING)]))
    stopped = tuple((sent(n), job_of(n), DispatchOutcome.STOPPED) for n in (1, 3))
    assert actions == Actions(stop=stopped, cancel=(reserved(2),))


def test_workers_of_a_scan_that_has_just_completed_leave_by_themselves():
    assert plan_actions(observed([], [sent(1)], [child(1)], leaving=frozenset({"a"}))) == NOTHING
    assert plan_actions(observed([], [sent(1)], [], leaving=frozenset({"a"}))).examine == (sent(1),)


def test_a_job_of_ours_that_no_row_knows_is_ended_and_one_dispatched_by_hand_is_left_alone():
    by_hand = child(9)
    by_hand = type(by_hand)("scan/dispatch-by-hand", "", RUNNING)
    assert plan_actions(observed([], [], [child(7), by_hand])).stray == (child(7),)


def test_of_two_jobs_with_one_token_the_second_is_ended():
    twin = type(child(1))("scan/dispatch-twin", "a-1", RUNNING)
    actions = plan_actions(observed([demand(fit_nodes=1)], [sent(1)], [child(1), twin]))
    assert actions == Actions(stray=(twin,))


def test_a_worker_whose_machine_nomad_has_lost_is_replaced_and_not_ended():
    actions = plan_actions(
        observed([demand(fit_nodes=4, max_workers=2)], [sent(1), sent(2)], [child(1), child(2, AWAY)])
    )
    assert actions == Actions(reserve=("a",))


def test_a_worker_on_a_machine_that_cannot_run_the_scan_is_left_there_and_another_is_asked_for():
    rows, children = [sent(1), sent(2)], [child(1), child(2)]
    actions = plan_actions(observed([demand(fit_nodes=2)], rows, children, misplaced=frozenset({job_of(2)})))
    assert actions == Actions(reserve=("a",))


def test_when_a_lost_one_comes_back_the_newest_above_the_cap_is_ended():
    rows, children = [sent(n) for n in (1, 2, 3)], [child(n) for n in (1, 2, 3)]
    actions = plan_actions(observed([demand(max_workers=2)], rows, children))
    assert actions == Actions(stop=((sent(3), job_of(3), DispatchOutcome.STOPPED),))


def test_over_all_scans_no_more_are_in_flight_than_the_limit_and_who_goes_first_is_served_first():
    actions = plan_actions(observed([demand("a", 100, 0, 20), demand("b", 100, 0, 20)]))
    assert (actions.reserve.count("a"), actions.reserve.count("b")) == (20, IN_FLIGHT_LIMIT - 20)


def test_what_runs_counts_no_longer_against_the_limit():
    rows = [sent(n) for n in range(1, IN_FLIGHT_LIMIT + 1)]
    actions = plan_actions(observed([demand("a", 100, 0, 40)], rows, [child(n) for n in range(1, IN_FLIGHT_LIMIT + 1)]))
    assert len(actions.reserve) == 8


def unplaced(*serials, scan="a", reason="2 of 2 machines have too little left of: memory"):
    return {"no_room": {job_of(serial, scan): reason for serial in serials}}


def test_while_nomad_has_no_room_nothing_more_is_asked_and_the_scan_says_why():
    rows, children = [sent(1), sent(2, seconds_ago=2)], [child(1), child(2, WAITING)]
    actions = plan_actions(observed([demand(fit_nodes=4)], rows, children, **unplaced(2)))
    why = "Nomad has no room for 3 workers more: 2 of 2 machines have too little left of: memory."
    assert actions == Actions(waiting_reasons={"a": why})


def test_the_reason_goes_when_there_is_room_again():
    actions = plan_actions(observed([demand(pending=3, leased=1, waiting_reason="no room")], [sent(1)], [child(1)]))
    assert actions.waiting_reasons == {"a": None} and actions.reserve == ("a",) * 3


def test_who_waits_for_room_longer_than_the_patience_is_withdrawn_and_one_is_asked_for_anew():
    rows = [sent(n, seconds_ago=PATIENCE.first_seconds + 1) for n in (1, 2, 3)]
    children = [child(n, WAITING) for n in (1, 2, 3)]
    actions = plan_actions(observed([demand(waiting_reason="no room")], rows, children, **unplaced(1, 2, 3)))
    assert {job for _, job, _ in actions.stop} == {job_of(n) for n in (1, 2, 3)}
    assert {outcome for *_, outcome in actions.stop} == {DispatchOutcome.NO_ROOM}
    assert actions.reserve == ("a",) and actions.waiting_reasons == {}, "the reason still holds"


@pytest.mark.parametrize(("waves", "patience"), [(0, 4), (1, 8), (2, 16), (3, 30), (4, 30), (9, 30)])
def test_the_patience_doubles_with_each_try_that_found_no_room(waves, patience):
    history = [ended(n, DispatchOutcome.NO_ROOM, seconds_ago=1000 - 10 * n) for n in range(1, waves + 1)]

    def withdrawn(waited):
        rows = [*history, sent(99, seconds_ago=waited)]
        return plan_actions(observed([demand()], rows, [child(99, WAITING)], **unplaced(99))).stop

    assert withdrawn(patience + 1) and not withdrawn(patience - 1)


def test_a_worker_that_was_placed_after_a_want_of_room_ends_the_holding_back():
    rows = [ended(1, DispatchOutcome.NO_ROOM), sent(2)]
    assert plan_actions(observed([demand(pending=9, leased=1)], rows, [child(2)])).reserve == ("a",) * 3
    assert plan_actions(observed([demand(pending=9, leased=1)], rows, [child(2, WAITING)])).reserve == ()


def test_at_the_limit_those_of_a_later_scan_that_find_no_room_give_way():
    serials = range(1, IN_FLIGHT_LIMIT + 1)
    rows, children = [sent(n, "b", 2) for n in serials], [child(n, WAITING, "b") for n in serials]
    demands = [demand("a", 2), demand("b", 100, 0, 100)]
    actions = plan_actions(observed(demands, rows, children, **unplaced(*serials, scan="b")))
    assert actions.reserve == ("a", "a") and len(actions.stop) == 2


def test_after_workers_that_ended_in_vain_the_next_waits_twice_as_long_each_time():
    first = ended(1, DispatchOutcome.FAILED, seconds_ago=0.5, lived=2, detail="Exit Code: 1 on vps1")
    actions = plan_actions(observed([demand()], [first]))
    assert actions.reserve == ()
    reason = actions.waiting_reasons["a"] or ""
    assert "Exit Code: 1 on vps1" in reason and job_of(1) in reason
    assert plan_actions(observed([demand()], [ended(1, DispatchOutcome.FAILED, seconds_ago=1.1)])).reserve
    many = [ended(n, DispatchOutcome.IDLE, seconds_ago=1000 - 20 * n) for n in range(1, 9)]
    for seconds_ago, workers in ((RETRY.longest_seconds - 1, 0), (RETRY.longest_seconds + 1, 4)):
        assert (
            len(plan_actions(observed([demand()], [*many, ended(9, DispatchOutcome.IDLE, seconds_ago)])).reserve)
            == workers
        )


@pytest.mark.parametrize("outcome", [DispatchOutcome.FINISHED, DispatchOutcome.LOST, DispatchOutcome.STOPPED])
def test_one_that_ended_well_or_with_its_machine_is_replaced_at_once(outcome):
    rows = [ended(1, DispatchOutcome.FAILED), ended(2, outcome, seconds_ago=0.1)]
    assert plan_actions(observed([demand(fit_nodes=1)], rows)).reserve == ("a",)


def test_one_that_failed_after_it_had_run_for_long_is_replaced_at_once():
    assert plan_actions(
        observed([demand(fit_nodes=1)], [ended(1, DispatchOutcome.FAILED, 0.1, lived=100)])
    ).reserve == ("a",)


def test_a_whole_fleet_that_fails_at_once_is_one_try():
    fleet = [ended(n, DispatchOutcome.FAILED, seconds_ago=1.5, lived=5) for n in range(1, 9)]
    assert count_waves(fleet) == 1
    assert plan_actions(observed([demand(fit_nodes=8)], fleet)).reserve == ("a",) * 8


def test_without_a_fit_node_the_scan_says_why():
    actions = plan_actions(observed([demand(fit_nodes=0, why_unfit="No node can run it now (n1: it is critical).")]))
    assert actions == Actions(waiting_reasons={"a": "No node can run it now (n1: it is critical)."})


def test_a_worker_that_has_a_machine_and_does_not_start_is_said_with_what_it_waits_for():
    slow = {job_of(2): "Missing: vault.read(database/creds/worker) on vps1"}
    rows, children = [sent(1), sent(2)], [child(1), child(2, STARTING)]
    actions = plan_actions(observed([demand(pending=4, leased=1, fit_nodes=2)], rows, children, slow_starts=slow))
    assert (actions.waiting_reasons["a"] or "").startswith(
        "1 worker cannot start yet: Missing: vault.read(database/creds/worker) on vps1."
    )


def test_doubling_ends_somewhere():
    assert [RETRY.seconds_after(n) for n in (1, 2, 5, 6, 1001)] == [1, 2, 16, 30, 30]

"""A check that has not run yet is not one that failed."""

from __future__ import annotations

from dataclasses import replace

from cloudx.domain.nodes import Check, CheckStatus
from cloudx.services.fleet.last_verdicts import LATE, MEMORY_SECONDS, UNRUN_SECONDS, LastVerdicts
from cloudx.services.fleet.ports import NodeInstance

WELL = Check("disk", "disk", CheckStatus.PASSING, "12 GB free")
SICK = replace(WELL, status=CheckStatus.CRITICAL, output="the disk is full")
UNRUN = replace(WELL, status=CheckStatus.CRITICAL, output="")
ALIVE = Check("serfHealth", "Serf Health Status", CheckStatus.PASSING, "Agent alive and reachable")


def instance(*checks: Check, node_id: str = "a", created: int = 1) -> NodeInstance:
    return NodeInstance(node_id, "host", "10.0.0.1", "1", (ALIVE, *checks), created)


def judged(verdicts: LastVerdicts, now: float, *checks: Check) -> list[Check]:
    (settled,) = verdicts.settled((instance(*checks),), now)
    assert settled.checks[0] == ALIVE
    return list(settled.checks[1:])


def test_a_check_that_has_run_is_what_it_says():
    verdicts = LastVerdicts()
    for now, check in enumerate((WELL, SICK, WELL)):
        assert judged(verdicts, now, check) == [check]


def test_a_check_that_has_not_run_since_its_agent_s_restart_keeps_its_last_verdict():
    for last in (WELL, SICK):
        verdicts = LastVerdicts()
        judged(verdicts, 0, last)
        assert judged(verdicts, 1, UNRUN) == [last]
        assert judged(verdicts, 1 + UNRUN_SECONDS, UNRUN) == [last]
        assert judged(verdicts, 2 + UNRUN_SECONDS, SICK) == [SICK]


def test_the_last_verdict_is_kept_for_a_bounded_time_and_then_there_is_a_reason():
    verdicts = LastVerdicts()
    judged(verdicts, 0, WELL)
    judged(verdicts, 100, UNRUN)
    assert judged(verdicts, 100.1 + UNRUN_SECONDS, UNRUN) == [replace(UNRUN, output=LATE)]
    assert judged(verdicts, 200 + UNRUN_SECONDS, UNRUN) == [replace(UNRUN, output=LATE)]
    assert judged(verdicts, 201 + UNRUN_SECONDS, WELL) == [WELL]
    assert judged(verdicts, 300 + UNRUN_SECONDS, UNRUN) == [WELL]


def test_the_time_is_bounded_though_the_answer_does_not_change():
    verdicts, answer = LastVerdicts(), (instance(UNRUN),)
    verdicts.settled((instance(WELL),), 0)
    assert verdicts.settled(answer, 1)[0].checks[1] == WELL
    assert verdicts.settled(answer, 2 + UNRUN_SECONDS)[0].checks[1].output == LATE


def test_a_check_that_nobody_has_seen_run_is_left_out_and_vouches_for_nothing():
    verdicts = LastVerdicts()
    (settled,) = verdicts.settled((instance(UNRUN),), 0)
    assert (settled.checks, settled.is_settled) == ((ALIVE,), False)
    assert judged(verdicts, 1 + UNRUN_SECONDS, UNRUN) == [replace(UNRUN, output=LATE)]


def test_an_agent_that_left_and_came_back_is_known_by_its_last_verdicts_for_some_minutes():
    for away, known in ((MEMORY_SECONDS, [SICK]), (MEMORY_SECONDS + 1, [])):
        verdicts = LastVerdicts()
        judged(verdicts, 0, SICK)
        verdicts.settled((), 0.5)
        assert judged(verdicts, away, UNRUN) == known


def test_what_has_held_for_long_is_no_old_verdict():
    verdicts, answer = LastVerdicts(), (instance(WELL),)
    for hour in range(3):
        verdicts.settled(answer, 3600 * hour)
    assert judged(verdicts, 4 * 3600, UNRUN) == [WELL]


def test_while_an_agent_is_replaced_the_new_instance_s_checks_say_what_the_old_one_s_do():
    for order in (1, -1):
        verdicts = LastVerdicts()
        pair = (instance(SICK, created=1), instance(UNRUN, created=2))[::order]
        settled = verdicts.settled(pair, 0)
        assert [one.checks[1] for one in settled] == [SICK, SICK]


def test_another_node_s_verdict_is_not_ours():
    verdicts = LastVerdicts()
    verdicts.settled((instance(WELL, node_id="b"),), 0)
    assert judged(verdicts, 1, UNRUN) == []


def test_an_answer_in_which_every_check_has_run_is_handed_on_as_it_is():
    verdicts, answer = LastVerdicts(), (instance(WELL), instance(SICK, node_id="b"))
    assert verdicts.settled(answer, 0) is verdicts.settled(answer, 1)
    assert verdicts.settled(answer, 2) == answer

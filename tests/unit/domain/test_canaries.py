"""Silent canaries speak against the node only when all of them are silent."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.nodes import CheckStatus
from cloudx.domain.proof.canaries import Canary, judge_canaries
from cloudx.worker.canary_watch import CanaryWatch


def canary(number: int) -> Canary:
    return Canary(str(number), f"192.0.2.{number}", 443, "tcp", "", datetime(2026, 1, 2, tzinfo=UTC), "ada")


@given(st.lists(st.booleans(), max_size=12))
def test_a_node_is_unfit_only_if_canaries_are_named_and_none_answers(answers: list[bool]) -> None:
    named = [canary(number) for number in range(len(answers))]
    silent = [one for one, answer in zip(named, answers, strict=True) if not answer]
    status = judge_canaries(named, silent).status
    assert (status is CheckStatus.CRITICAL) == (bool(answers) and not any(answers))
    assert (status is CheckStatus.WARNING) == (any(answers) and not all(answers))


def test_a_watch_looks_once_while_its_look_is_fresh() -> None:
    asked: list[str] = []

    def accepts(target: str, port: int) -> bool:
        asked.append(f"{target}:{port}")
        return True

    watch = CanaryWatch(lambda: [canary(1)], accepts, fresh_seconds=60)
    assert [watch().status, watch().status] == [CheckStatus.PASSING] * 2
    assert asked == ["192.0.2.1:443"]

"""The rules for following an index."""

from __future__ import annotations

import pytest

from cloudx.domain.errors import DependencyUnavailable
from cloudx.services.fleet.follow_query import FollowedQuery
from cloudx.services.fleet.ports import Answer


class Server:
    """Answers what it is told to, and remembers which index it was asked with."""

    def __init__(self, *answers: tuple[int, str] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[int] = []
        self.loads = 0

    def __call__(self, index: int, wait_seconds: float) -> Answer[str]:
        self.asked.append(index)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        at, value = answer
        return Answer(at, lambda: self._load(value))

    def _load(self, value: str) -> str:
        self.loads += 1
        return value


AWAY = DependencyUnavailable("it is away")


def follow(
    *answers: tuple[int, str] | Exception,
) -> tuple[FollowedQuery[str], Server, list[float], list[tuple[str | None, str | None]]]:
    server = Server(*answers)
    shown: list[tuple[str | None, str | None]] = []
    query = FollowedQuery("test", server, clock=lambda: 50.0, random_share=lambda: 1.0)
    query._on_change = lambda: shown.append((query.state.value, query.state.problem))
    rests = [query.step() for _ in answers]
    return query, server, rests, shown


def test_each_question_carries_the_last_answer_s_index():
    _, server, _, shown = follow((7, "a"), (9, "b"), (9, "b"))
    assert server.asked == [0, 7, 9]
    assert shown == [("a", None), ("b", None)]


def test_an_index_that_goes_back_is_followed_from_the_start():
    query, server, _, shown = follow((900, "a"), (5, "restored"), (5, "restored"), (6, "next"))
    assert server.asked == [0, 900, 0, 5]
    assert query.state.value == "next" and ("restored", None) in shown


def test_an_index_below_one_counts_as_one_or_the_question_would_not_wait():
    _, server, _, _ = follow((0, "a"), (0, "a"), (2, "b"))
    assert server.asked == [0, 1, 1]


def test_a_return_with_the_same_index_is_no_change_and_is_not_even_decoded():
    _, server, _, shown = follow((7, "a"), (7, "a"), (7, "a"))
    assert server.loads == 1 and len(shown) == 1


def test_a_new_index_with_the_same_answer_is_no_change():
    _, server, _, shown = follow((7, "a"), (8, "a"))
    assert server.loads == 2 and len(shown) == 1


def test_a_failure_keeps_the_last_answer_says_why_and_begins_anew():
    query, server, _, shown = follow((7, "a"), AWAY, (3, "a"))
    assert shown == [("a", None), ("a", "it is away"), ("a", None)]
    assert server.asked == [0, 7, 0]
    assert query.state.problem is None and query.state.held_at == 50.0


def test_the_same_failure_again_is_said_once():
    _, _, _, shown = follow((7, "a"), AWAY, AWAY, AWAY)
    assert len(shown) == 2


def test_retries_back_off_to_a_limit_and_an_answer_resets_them():
    _, _, rests, _ = follow(*[AWAY] * 9, (7, "a"), AWAY)
    assert rests[:6] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2]) and rests[6:9] == [5.0, 5.0, 5.0]
    assert rests[10] == pytest.approx(0.1)


def test_retries_are_spread_so_that_a_fleet_of_watchers_does_not_return_at_once():
    query = FollowedQuery("test", Server(AWAY, AWAY), random_share=iter([0.0, 1.0]).__next__)
    assert [query.step(), query.step()] == pytest.approx([0.05, 0.2])


def test_an_answer_that_cannot_be_decoded_is_a_problem_and_not_the_end_of_following():
    query, _, _, _ = follow((7, "a"), RuntimeError("a defect"), (8, "b"))
    assert query.state.value == "b" and query.state.problem is None


def test_following_rests_as_long_as_an_answer_took_to_be_read():
    moments = iter([0.0, 0.0, 3.0, 3.0])
    query = FollowedQuery("test", Server((7, "a")), clock=lambda: next(moments))
    assert query.step() == 3.0


def test_a_listener_that_fails_does_not_stop_the_following():
    query = FollowedQuery("test", Server((7, "a"), (8, "b")))

    def fail() -> None:
        raise ZeroDivisionError

    query._on_change = fail
    query.step(), query.step()
    assert query.state.value == "b" and query.state.problem is None

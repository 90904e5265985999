"""Names are resolved side by side, within bounds, and each name's fate is its own."""

from __future__ import annotations

import ipaddress
import threading

import pytest
from typing_extensions import override

from cloudx.domain.addresses import Address
from cloudx.domain.errors import DependencyUnavailable, InvalidInput
from cloudx.services.access.ports import Resolver
from cloudx.services.access.resolve_names import SIDE_BY_SIDE, Answers, require_answers, resolve_names

TEN = [ipaddress.ip_address("10.0.0.1")]


class Gathering(Resolver):
    """Answers nobody before so many ask at once."""

    def __init__(self, together: int) -> None:
        self._gate = threading.Barrier(together)

    @override
    def resolve(self, host_name: str) -> list[Address]:
        self._gate.wait(30)
        return TEN


class Counting(Resolver):
    """Knows how many asked at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = self.most = 0

    @override
    def resolve(self, host_name: str) -> list[Address]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        threading.Event().wait(0.001)
        with self._lock:
            self._now -= 1
        return TEN


class Moody(Resolver):
    """Each kind of answer by the name's first label."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_end = threading.Event()

    @override
    def resolve(self, host_name: str) -> list[Address]:
        self.asked.append(host_name)
        match host_name.partition(".")[0]:
            case "dead":
                return []
            case "silent":
                raise DependencyUnavailable("no answer")
            case "broken":
                raise ValueError("a defect of the resolver")
            case "hanging":
                self.may_end.wait(30)
        return TEN


def test_as_many_names_as_the_bound_allows_are_asked_for_at_once() -> None:
    names = [f"h{number}.test" for number in range(SIDE_BY_SIDE)]
    assert set(resolve_names(Gathering(SIDE_BY_SIDE), names, 60).found) == set(names)


def test_ten_thousand_names_are_all_resolved_in_the_order_of_asking_and_never_more_at_once_than_the_bound() -> None:
    resolver, names = Counting(), [f"h{number}.test" for number in range(10_000)]
    assert list(resolve_names(resolver, names, 300).found) == names
    assert resolver.most <= SIDE_BY_SIDE


def test_one_name_s_fate_is_no_other_s() -> None:
    resolver = Moody()
    answers = resolve_names(resolver, ["a.test", "dead.test", "silent.test", "broken.test", "b.test", "a.test"], 60)
    assert answers.found == {"a.test": tuple(TEN), "b.test": tuple(TEN)}
    assert (answers.dead, answers.silent) == (("dead.test",), ("silent.test", "broken.test"))
    assert resolver.asked.count("a.test") == 1


def test_a_name_that_hangs_counts_as_silent_once_the_time_is_over() -> None:
    resolver = Moody()
    answers = resolve_names(resolver, ["a.test", "hanging.test"], 1.0)
    assert answers.silent == ("hanging.test",)
    resolver.may_end.set()
    assert answers.silent == ("hanging.test",)


def test_no_name_asks_nobody() -> None:
    resolver = Moody()
    assert resolve_names(resolver, [], 60) == Answers({})
    assert resolver.asked == []


def test_an_error_shows_some_names_and_its_details_have_all() -> None:
    dead = tuple(f"d{number}.test" for number in range(12))
    with pytest.raises(InvalidInput, match=r"12 host names: .*and 2 more have no address") as refused:
        require_answers(Answers({}, dead, ("s.test",)), "target")
    assert refused.value.details["host_names"] == list(dead)

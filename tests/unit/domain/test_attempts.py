"""Whether an attempt may have sent to an address: in doubt it may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import LEASE_SECONDS
from cloudx.domain.proof.attempts import Sending
from cloudx.domain.scopes import Exclusion, Scope, authorising
from cloudx.domain.targets import parse_targets

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECONDS = st.integers(-1000, 1000).map(lambda seconds: NOON + timedelta(seconds=seconds))
OUTCOMES = st.sampled_from(["done", "failed", "lost", "released", "stopped", "recut", "something new"])


def addresses(*targets: str) -> AddressSet:
    return parse_targets(targets).addresses


def exclusion(*targets: str, version: int | None = 3) -> Exclusion:
    return Exclusion("id", targets, "", NOON, "ada", parse_targets(targets).addresses, version)


def sending(version: int | None = 3) -> Sending:
    return Sending(NOON, None, None, version)


@given(SECONDS, st.integers(0, 1000), OUTCOMES, SECONDS, st.integers(0, 1000))
def test_whatever_overlaps_the_window_may_have_sent_in_it(
    started_at: datetime, lasted: int, outcome: str, since: datetime, window: int
) -> None:
    ended_at, until = started_at + timedelta(seconds=lasted), since + timedelta(seconds=window)
    overlaps = started_at <= until and ended_at >= since
    may_have = Sending(started_at, ended_at, outcome).may_have_sent(since, until)
    assert may_have or not overlaps
    if may_have and not overlaps:
        assert outcome in ("lost", "recut")
        assert ended_at < since <= ended_at + timedelta(seconds=LEASE_SECONDS)


@given(SECONDS, SECONDS, st.integers(0, 1000))
def test_one_that_goes_on_may_send_until_now(started_at: datetime, since: datetime, window: int) -> None:
    until = since + timedelta(seconds=window)
    assert Sending(started_at, None, None).may_have_sent(since, until) == (started_at <= until)


@pytest.mark.parametrize("outcome", ["unreachable", "cancelled"])
def test_one_that_ended_before_a_scanner_was_started_sent_nothing(outcome: str) -> None:
    assert not Sending(NOON, NOON, outcome).may_have_sent(NOON, NOON)


@pytest.mark.parametrize(
    ("seen", "came_with", "was_left_out"),
    [(3, 3, True), (4, 3, True), (2, 3, False), (None, 3, False), (3, None, False), (3, 0, True)],
)
def test_an_exclusion_counts_where_the_claim_is_known_to_have_seen_it(
    seen: int | None, came_with: int | None, was_left_out: bool
) -> None:
    found = sending(seen).left_out(addresses("10.0.0.1"), {}, exclusion("10.0.0.0/30", version=came_with))
    assert found is was_left_out


def test_an_address_is_left_out_as_the_machine_it_stands_for_or_by_the_name_it_was_asked_by() -> None:
    carrier = addresses("64:ff9b::10.0.0.1")
    assert sending().left_out(carrier, {}, exclusion("10.0.0.1"))
    assert not sending().left_out(carrier, {}, exclusion("10.0.0.2"))
    target, named = addresses("10.0.0.1"), {"10.0.0.1": ("a.test", "b.test")}
    assert sending().left_out(target, named, exclusion("b.test"))
    assert not sending().left_out(target, named, exclusion("c.test"))
    assert not sending().left_out(target, {"10.0.0.2": ("a.test",)}, exclusion("a.test"))


def scope(name: str, *targets: str, begins: float = 0, ends: float | None = None) -> Scope:
    expires_at = None if ends is None else NOON + timedelta(seconds=ends)
    return Scope(name, targets, name, "", NOON + timedelta(seconds=begins), "ada", expires_at)


def test_of_the_scopes_that_allowed_an_address_then_the_narrowest_is_told_and_of_equals_the_oldest() -> None:
    known = [
        scope("wide", "10.0.0.0/8"), scope("younger", "10.0.0.0/30", begins=1), scope("narrow", "10.0.0.0/30"),
        scope("late", "10.0.0.1", begins=20), scope("over", "10.0.0.1", ends=10), scope("other", "10.0.0.2"),
    ]  # fmt: skip
    at = NOON + timedelta(seconds=10)
    told = authorising(known, addresses("10.0.0.1"), {}, at)
    assert told is not None and told.id == "narrow"
    assert authorising(known, addresses("192.0.2.1"), {}, at) is None
    assert authorising([], addresses("10.0.0.1"), {}, at) is None


def test_a_carrier_is_allowed_by_a_scope_for_the_machine_and_a_name_by_a_scope_for_the_name() -> None:
    machines = [scope("machines", "10.0.0.0/8"), scope("all", "::/0")]
    told = authorising(machines, addresses("64:ff9b::10.0.0.1"), {}, NOON)
    assert told is not None and told.id == "machines"
    names = [scope("names", "a.test")]
    assert authorising(names, addresses("192.0.2.1"), {}, NOON) is None
    told = authorising(names, addresses("192.0.2.1"), {"192.0.2.1": ("a.test",)}, NOON)
    assert told is not None and told.id == "names"

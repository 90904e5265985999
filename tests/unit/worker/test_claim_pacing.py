"""A worker that has its share of a scan lets others go first, and is never idle while there is work."""

from __future__ import annotations

from cloudx.domain.tools import Tool
from cloudx.worker.claim_pacing import ClaimPacing


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


IDLE_SECONDS = 0.5


def test_a_worker_without_work_never_waits() -> None:
    turns = ClaimPacing(IDLE_SECONDS, Clock())
    turns.claimed()
    assert not turns.must_wait([])


def test_after_its_first_chunk_the_others_are_asked_first() -> None:
    clock = Clock()
    turns = ClaimPacing(IDLE_SECONDS, clock)
    turns.claimed()
    assert turns.must_wait([Tool.MASSCAN])
    clock.now += 4 * IDLE_SECONDS
    assert not turns.must_wait([Tool.MASSCAN])


def test_what_ends_beside_another_run_is_offered_to_the_others() -> None:
    clock = Clock()
    turns = ClaimPacing(IDLE_SECONDS, clock)
    turns.claimed()
    turns.claimed()
    clock.now += 60
    assert not turns.must_wait([Tool.MASSCAN, Tool.MASSCAN])
    assert turns.must_wait([Tool.MASSCAN])
    clock.now += IDLE_SECONDS  # whoever is idle has asked within this time
    assert turns.must_wait([Tool.MASSCAN])
    clock.now += 0.2 * IDLE_SECONDS
    assert not turns.must_wait([Tool.MASSCAN])


def test_the_only_run_of_a_worker_is_followed_by_its_next_one_at_once() -> None:
    clock = Clock()
    turns = ClaimPacing(IDLE_SECONDS, clock)
    for _ in range(3):
        turns.claimed()
        clock.now += 0.1
        assert not turns.must_wait([])


def test_four_runs_of_nmap_are_one_share() -> None:
    turns = ClaimPacing(IDLE_SECONDS, Clock())
    for count in range(1, 4):
        turns.claimed()
        assert not turns.must_wait([Tool.NMAP] * count)
    turns.claimed()
    assert turns.must_wait([Tool.NMAP] * 4)

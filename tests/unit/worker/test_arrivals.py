"""Replies that reached the machine, beside those that the tool took in."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from typing_extensions import override

from cloudx.domain.proof.sending import SendRecord
from cloudx.services.chunks.scanner_port import SendWatch, TakenIn
from cloudx.worker.arrivals import Arrivals


class CountedReplies(SendWatch):
    """What the kernel counts at each look."""

    def __init__(self, counts: Iterable[int]) -> None:
        self._counts = iter(counts)

    @override
    def replies(self) -> int:
        return next(self._counts)

    @override
    def end(self) -> SendRecord:
        return SendRecord("eth0", 0)


@pytest.mark.parametrize(
    ("counts", "read", "unread"),
    [
        ([100, 100, 100, 100], 100, 0),
        ([90, 100, 100, 100], 99, 1),
        ([100, 100, 101, 101], 100, 0),  # one that came when the tool may have stopped listening
        ([100, 100, 101, 101], 99, 1),
        ([], 0, 0),
        ([100, 100, 100], 120, 0),
        ([100, 100, 100], None, 0),
    ],
)
def test_what_arrived_while_the_tool_surely_listened_must_be_among_what_it_took_in(
    counts: list[int], read: int | None, unread: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sign a second from 1000 on; the account comes at 1003."""
    moments = itertools.count(1000.0)
    monkeypatch.setattr("cloudx.worker.arrivals.time.time", lambda: next(moments))
    arrivals = Arrivals(CountedReplies(counts))
    for _ in counts:
        arrivals.note()
    assert arrivals.unread(TakenIn(read, 1003.0) if read is not None else None) == unread


def test_signs_that_are_read_late_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudx.worker.arrivals.time.time", lambda: 1005.0)
    arrivals = Arrivals(CountedReplies([130, 130, 130]))
    for _ in range(3):
        arrivals.note()
    assert arrivals.unread(TakenIn(100, 1003.0)) == 0


def test_without_a_count_nothing_is_missed() -> None:
    arrivals = Arrivals(None)
    arrivals.note()
    assert arrivals.unread(TakenIn(0, 1003.0)) == 0

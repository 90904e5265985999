"""One bar for two stages: it never goes back for what is found, and ends at 100 when both are over."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.coverage import Coverage
from cloudx.domain.errors import InvalidInput
from cloudx.domain.stages.progress import LEAST_WEIGHT, MOST_WEIGHT, Followed, first_weight, stages_percent
from cloudx.domain.stages.rates import split_rate
from cloudx.domain.tools import SCAN_TYPES, UNBOUNDED_PPS, Tool

INTENSE, DEFAULT = SCAN_TYPES[Tool.NMAP, "intense"], SCAN_TYPES[Tool.NMAP, "default"]
CHUNK = 100


@dataclass
class Ledger:
    """What the ledger keeps of a scan of ten chunks, as far as the bar goes by it."""

    settled: int = 0
    planned: int = 0
    done: int = 0
    rows: list[Followed] = field(default_factory=list)

    def complete_first(self, open_ports: int) -> None:
        if self.settled == 10 * CHUNK:
            return
        if open_ports:
            self.rows.append(Followed(self.planned, open_ports, self.settled, self.settled + CHUNK))
        self.settled += CHUNK
        self.planned += open_ports

    def percent(self, weight: float) -> float:
        first = Coverage(10 * CHUNK, self.settled, remaining=10 * CHUNK - self.settled)
        at = next((row for row in reversed(self.rows) if row.units_before <= self.done), None)
        with_rest = self.settled if at is None or self.done >= self.planned else at.settled_at(self.done)
        is_over = self.settled == 10 * CHUNK and self.done == self.planned
        return stages_percent(first, 0.0, with_rest, weight, is_over=is_over)


steps = st.lists(
    st.one_of(st.tuples(st.just("first"), st.integers(0, 50)), st.tuples(st.just("second"), st.integers(1, 30)))
)


@given(steps, st.floats(LEAST_WEIGHT, MOST_WEIGHT))
def test_the_bar_never_goes_back_and_ends_at_100(taken: list[tuple[str, int]], weight: float) -> None:
    ledger, shown = Ledger(), 0.0
    rest = [("first", 7)] * 10 + [("second", 1)] * 2000
    for stage, count in [*taken, *rest]:
        if stage == "first":
            ledger.complete_first(count)
        else:
            ledger.done = min(ledger.planned, ledger.done + count)
        assert ledger.percent(weight) >= shown
        shown = ledger.percent(weight)
    assert shown == 100


def test_a_slow_first_stage_has_most_of_the_bar_and_a_quick_one_little() -> None:
    assert first_weight(1_000_000, 100, INTENSE, runs=4) == MOST_WEIGHT
    assert first_weight(1_000_000, 10_000_000, INTENSE, runs=4) == LEAST_WEIGHT
    assert LEAST_WEIGHT < first_weight(1_000_000, 5_000, INTENSE, runs=4) < MOST_WEIGHT


@given(st.integers(2, 10_000_000))
def test_both_stages_together_never_pass_an_asked_rate(asked: int) -> None:
    first, second = split_rate(asked, asked, DEFAULT)
    assert first + second == asked
    assert min(first, second) >= 1


def test_a_rate_of_one_cannot_be_shared_and_nothing_holds_versions_to_one() -> None:
    with pytest.raises(InvalidInput, match="2 packets per second"):
        split_rate(1, 1, DEFAULT)
    assert split_rate(500, 500, INTENSE) == (500, UNBOUNDED_PPS)
    assert split_rate(None, 1000, DEFAULT) == (1000, UNBOUNDED_PPS)

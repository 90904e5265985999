"""Wires the figures that operators see."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from cloudx.adapters.machine.forked_memory import ForkedMemory
from cloudx.domain.tools import ScanType
from cloudx.services.figures.count_totals import CountTotals
from cloudx.services.figures.read_state import STATE_SECONDS, ReadState
from cloudx.services.fleet.fit import FitCount
from cloudx.services.fleet.watch import FleetWatch
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.rounds import Rounds

LOOK_SECONDS = 5.0  # between two times of asking whether the totals are due


@cache
def figures_turn() -> ForkedMemory:
    """One for this process and all that it forks: one of them reads the figures, another when that one dies."""
    return ForkedMemory("figures")


def figures_of(
    open_ledger: OpenLedger, fleet: FleetWatch, count_fit: Callable[[ScanType], FitCount]
) -> tuple[ReadState, CountTotals]:
    """What reads them for this instance."""
    turn = figures_turn()
    return ReadState(open_ledger, fleet.current, count_fit, turn.is_mine), CountTotals(open_ledger, turn.is_mine)


def rounds_of(read_state: ReadState, count_totals: CountTotals) -> tuple[Rounds, ...]:
    """When they are read."""
    return (
        Rounds("figures.state", read_state, STATE_SECONDS),
        Rounds("figures.totals", count_totals, LOOK_SECONDS),
    )

"""The domain's rules together, in simulated time: a fleet that fails in every way ends its scan, each probe once."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.simulation.fleet import SimulatedFleet
from fixtures.simulation.world import SimulationOutcome, World

# About two thousand seconds, in which each of twenty VPSes dies about three times.
WORLD = World(vpses=20, chunks=2000, seconds_to_death=600.0, seconds_to_comeback=100.0, failures=0.02)
CALM = World(
    vpses=8, chunks=32, seconds_to_death=1e9, dishonest=0.0, failures=0.0, poisoned=0, excluded=0.0, slowest=1.0
)


def ended(world: World) -> SimulationOutcome:
    """Run it; raises unless every planned probe was settled by exactly one chunk."""
    fleet = SimulatedFleet(world)
    outcome = fleet.run()
    fleet.require_each_probe_once()
    return outcome


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_whatever_dies_the_scan_ends_and_every_probe_is_accounted_for_once(seed: int) -> None:
    outcome = ended(replace(WORLD, seed=seed))
    assert (outcome.coverage.balances, outcome.coverage.remaining) == (True, 0)
    assert outcome.coverage.failed >= 1
    assert outcome.chunks_done + outcome.chunks_failed == outcome.chunks_total
    assert outcome.chunks_failed >= WORLD.poisoned
    assert outcome.deaths > 10
    assert outcome.lost > 10
    assert outcome.fenced_off > 0
    assert outcome.ratio >= 1.0


def test_in_the_median_deaths_cost_less_than_a_tenth_more_than_what_was_alive_could_have_done() -> None:
    assert median(ended(replace(WORLD, seed=seed)).ratio for seed in range(25)) < 1.1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_without_deaths_a_scan_of_twenty_vpses_takes_at_most_a_few_percent_more_than_the_ideal(seed: int) -> None:
    world = replace(WORLD, seed=seed, seconds_to_death=1e9, failures=0.003, poisoned=0)
    assert ended(world).ratio < 1.03


def test_eight_equal_vpses_end_a_minute_of_work_together() -> None:
    outcome = ended(CALM)
    sending_seconds = outcome.makespan_seconds - CALM.reply_seconds
    starts_and_polls = 7 * CALM.start_seconds + CALM.poll_seconds
    assert sending_seconds <= outcome.ideal_seconds + starts_and_polls


def test_a_vps_that_sends_half_of_what_it_said_does_not_keep_the_others_waiting_for_a_whole_chunk() -> None:
    slowed = [ended(replace(CALM, dishonest=0.2, seed=seed)) for seed in range(20)]
    assert max(fleet.makespan_seconds - fleet.ideal_seconds for fleet in slowed) < 15

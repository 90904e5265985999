"""1,000 VPSes × 1,000,000 chunks in simulated time, by the real rules of the domain, with failures.

`scripts/bench simulate_fleet [VPSES CHUNKS]`. Goals: it ends, every probe is accounted for once, and the
makespan is at most 1.03 of the ideal: the time in which a fleet that never pauses, starts a scanner, repeats a probe
or waits for a reply would have sent the same with what was alive at each moment. VPSes are 0.5–1 as fast as
their grants, some send half of what they measured; they die and come back, some of them late with what they found; runs
fail. What is real and what is modelled: tests/fixtures/simulation/.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import replace
from typing import Any

from fixtures.simulation.fleet import SimulatedFleet
from fixtures.simulation.world import World

VPSES, CHUNKS = 1_000, 1_000_000
GOAL = 1.03
# Each VPS dies every half hour of simulated time, and one run in fifty fails.
STORM: dict[str, Any] = {"seconds_to_death": 1_800.0, "gone": 0.0, "failures": 0.02}


def measure(name: str, world: World, goal: float | None) -> None:
    """One line; raises where the books do not balance."""
    started = time.perf_counter()
    fleet = SimulatedFleet(world)
    outcome = fleet.run()
    fleet.require_each_probe_once()
    assert (outcome.coverage.balances, outcome.coverage.remaining) == (True, 0), outcome.coverage
    assert outcome.chunks_done + outcome.chunks_failed == outcome.chunks_total
    counts = {name: getattr(outcome, name) for name in ("runs", "deaths", "lost", "split", "fenced_off")}
    line = {
        "name": name, "value": round(outcome.ratio, 4), "unit": "makespan / ideal", "vpses": world.vpses,
        "chunks": outcome.chunks_total, "makespan_s": round(outcome.makespan_seconds),
        "ideal_s": round(outcome.ideal_seconds), **counts, "coverage": vars(outcome.coverage),
        "took_s": round(time.perf_counter() - started, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }  # fmt: skip
    if goal is not None:
        line |= {"goal": goal, "ratio": round(outcome.ratio / goal, 3)}
    print(json.dumps(line), flush=True)


def main(vpses: int, chunks: int) -> None:
    """The goal's fleet, a stormy one, and small scans, where the end weighs more."""
    world = World(vpses, chunks)
    measure("simulated_fleet", world, GOAL)
    measure("simulated_fleet_in_a_storm", replace(world, **STORM), None)
    measure("simulated_fleet_of_8_for_a_minute", World(8, 32, poisoned=0), None)


if __name__ == "__main__":
    main(*(map(int, sys.argv[1:3]) if len(sys.argv) > 2 else (VPSES, CHUNKS)))

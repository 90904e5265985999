"""Caps by prefix on the wire: a single /24, and 64 of them, from eight VPSes at once. Root, and the machine's rig.

Every probe that reaches the target network is recorded with its time; of each prefix the fullest second is looked
for, wherever it begins. The single /24 goes just below its cap; of many a run's probes come in random order, so the
mean is kept five standard deviations below the cap, and the whole fleet sends.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from collections import defaultdict

from rig.capture import Probes
from rig.resident import ResidentRig
from rig.rig import Rig

VPSES, NODE_PPS, CAP_PPS = 8, 500, 200
SINGLE, SINGLE_PORTS = "10.77.3.0/24", "1-24"
MANY, MANY_PORTS = "10.77.64.0/18", "1-8"
NMAP, NMAP_PORTS = "10.77.5.0/24", "1-10"


def scanned(rig: Rig, **body: object) -> tuple[Probes, float]:
    """A scan with the cap, and the probes that arrived."""
    with rig.capture() as capture:
        started = time.monotonic()
        scan_id = rig.api.scan(rate_per_prefix={"24": CAP_PPS}, resolve=False, **body)
        shown = rig.api.wait_for(scan_id, 600)
        seconds = time.monotonic() - started
    assert shown["status"] == "completed", shown
    assert shown["coverage"]["completed"] == shown["coverage"]["planned"], shown["coverage"]
    assert capture.dropped == 0, "the counter could not keep up"
    return capture.probes, seconds


def fullest_seconds(probes: Probes) -> dict[str, int]:
    """The most probes that any second had, by /24."""
    times: dict[str, list[float]] = defaultdict(list)
    for probe in probes.all():
        times[probe.address.rpartition(".")[0]].append(probe.at)
    return {prefix: _fullest(sorted(moments)) for prefix, moments in times.items()}


def _fullest(moments: list[float]) -> int:
    return max(bisect_right(moments, moment + 0.999_999) - place for place, moment in enumerate(moments))


def say(name: str, value: float, unit: str, goal: str | None = None) -> None:
    """One JSON line."""
    line = {"name": f"prefix_cap_{name}", "value": round(value, 3), "unit": unit}
    print(json.dumps(line | ({"goal": goal} if goal else {})), flush=True)


def measure(rig: Rig) -> None:
    """Three scans."""
    probes, seconds = scanned(rig, target=SINGLE, tool="masscan", ports=SINGLE_PORTS, rate=VPSES * NODE_PPS)
    say("single_fullest_second", max(fullest_seconds(probes).values()), "packets to the /24", f"≤ {CAP_PPS}")
    say("single_mean", probes.sent / seconds, "packets/s from submit to completed")
    say("single_vpses", len(probes.by_source), "VPSes that sent to it")
    probes, _ = scanned(rig, target=MANY, tool="masscan", ports=MANY_PORTS, rate=VPSES * NODE_PPS)
    times = sorted(probes.times())
    inner = times[: len(times) - VPSES * NODE_PPS]
    fullest = fullest_seconds(probes)
    say("many_fullest_second", max(fullest.values()), f"packets to one of {len(fullest)} /24s", f"≤ {CAP_PPS}")
    say("many_rate_used", len(inner) / (inner[-1] - inner[0]) / (VPSES * NODE_PPS), "of the fleet's rate", "≥ 0.9")
    probes, _ = scanned(rig, target=NMAP, tool="nmap", ports=NMAP_PORTS)
    say("nmap_fullest_second", max(fullest_seconds(probes).values()), "SYNs to the /24", f"≤ {CAP_PPS}")


def main() -> None:
    """On one fleet."""
    rig = ResidentRig(VPSES, {"CLOUDX_NODE_RATE_LIMIT_PPS": str(NODE_PPS)})
    rig.start()
    try:
        measure(rig)
    finally:
        rig.stop()


if __name__ == "__main__":
    main()

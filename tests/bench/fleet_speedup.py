"""One scan on 1, 2, 4 and 8 VPSes, each of which may send no more than a fixed rate: how much faster more of them are.

Root, and the machine's rig. The same probes each time, at a rate that every VPS can send even on a small machine: what
is measured is the fleet's organisation, not the CPU. Times are from the first probe to the last, as the counter at the
target saw them, and from the request to `completed`. `--kind nomad` runs it with Nomad instead of resident workers,
`--tool nmap` an nmap scan at the defaults, on one VPS and on eight.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rig.capture import Probes
from rig.nomad_fleet import NomadRig
from rig.resident import ResidentRig
from rig.rig import Rig

TARGET, PORTS = "10.77.0.0/16", "80,443"
PROBES = 65_536 * 2
NODE_PPS = 500  # 262 s for one VPS, 33 s for eight
# 320 s for one VPS: nmap's runs use four fifths of a limit. In less the start of 32 nmaps on two processors tells.
NMAP_TARGET, NMAP_HOSTS, NMAP_NODE_PPS = "10.77.0.0/23", 512, 2_000
SIZES = {"masscan": (1, 2, 4, 8), "nmap": (1, 8)}
TAIL_SECONDS = 1.0  # the end, in which the last chunks run out, is not "while work remains"


def measure(rig: Rig, vpses: int) -> tuple[float, float, float]:
    """Seconds of sending, seconds in all, and packets sent ÷ packets granted while work remained."""
    with rig.capture() as capture:
        started = time.monotonic()
        scan_id = rig.api.scan(target=TARGET, tool="masscan", ports=PORTS, rate=NODE_PPS * vpses)
        shown = rig.api.wait_for(scan_id, 600)
        seconds = time.monotonic() - started
    assert shown["status"] == "completed", shown
    assert capture.dropped == 0, "the counter could not keep up"
    assert capture.probes.distinct == capture.probes.sent == PROBES, (capture.probes.sent, capture.probes.distinct)
    first, last = span(capture.probes)
    return last - first, seconds, used_share(capture.probes, NODE_PPS * vpses)


def measure_nmap(rig: Rig) -> tuple[float, float]:
    """Seconds of sending, and from the request to `completed`, without a rate."""
    with rig.capture() as capture:
        started = time.monotonic()
        shown = rig.api.wait_for(rig.api.scan(target=NMAP_TARGET, tool="nmap", resolve=False), 600)
        seconds = time.monotonic() - started
    assert shown["status"] == "completed", shown
    assert shown["coverage"]["completed"] == shown["coverage"]["planned"] == NMAP_HOSTS, shown
    first, last = span(capture.probes)
    return last - first, seconds


def fleet_of(vpses: int, kind: str, node_pps: int) -> Rig:
    """Each of them may send that much."""
    if kind == "resident":
        return ResidentRig(vpses, {"CLOUDX_NODE_RATE_LIMIT_PPS": str(node_pps)})
    return NomadRig(vpses, variables={"rate_limit_pps": str(node_pps)})


def span(probes: Probes) -> tuple[float, float]:
    """When the first and the last came."""
    times = probes.times()
    return min(times), max(times)


def used_share(probes: Probes, granted_pps: int) -> float:
    """Until so much is left as can be sent in TAIL_SECONDS."""
    times = sorted(probes.times())
    until_the_tail = times[: len(times) - int(granted_pps * TAIL_SECONDS)]
    return len(until_the_tail) / granted_pps / (until_the_tail[-1] - until_the_tail[0])


def main() -> None:
    """A line a size, then the speed-up."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kind", choices=("resident", "nomad"), default="resident")
    options.add_argument("--tool", choices=tuple(SIZES), default="masscan")
    chosen = options.parse_args()
    (masscan_on_fleets if chosen.tool == "masscan" else nmap_on_fleets)(chosen.kind)


def masscan_on_fleets(kind: str) -> None:
    """At a rate that the fleet may send together."""
    alone = 0.0
    for vpses in SIZES["masscan"]:
        with running(fleet_of(vpses, kind, NODE_PPS)) as rig:
            sending, in_all, share = measure(rig, vpses)
        alone = alone or sending
        say(kind, f"fleet_{vpses}_vpses", in_all, "s from request to completed", None)
        say(kind, f"fleet_{vpses}_rate_used", share, "of the granted rate while work remains", "≥ 0.97")
        say(kind, f"fleet_{vpses}_speedup", alone / sending, "× one VPS", "≥ 7.6 at 8" if vpses == 8 else None)


def nmap_on_fleets(kind: str) -> None:
    """Without a rate, each VPS within its limit."""
    alone, alone_in_all = 0.0, 0.0
    for vpses in SIZES["nmap"]:
        with running(fleet_of(vpses, kind, NMAP_NODE_PPS)) as rig:
            sending, in_all = measure_nmap(rig)
        alone, alone_in_all = alone or sending, alone_in_all or in_all
        say(kind, f"fleet_nmap_{vpses}_vpses", in_all, "s from request to completed", None)
        say(kind, f"fleet_nmap_{vpses}_speedup_in_all", alone_in_all / in_all, "× one VPS", None)
        say(kind, f"fleet_nmap_{vpses}_speedup", alone / sending, "× one VPS", "≥ 7.6 at 8" if vpses == 8 else None)


@contextmanager
def running(rig: Rig) -> Iterator[Rig]:
    """For the length of a `with` block, begun on a quiet machine."""
    rig.start(wait_for_the_machine=True)
    try:
        yield rig
    finally:
        rig.stop()


def say(kind: str, name: str, value: float, unit: str, goal: str | None) -> None:
    """One JSON line."""
    line = {"name": name, "value": round(value, 3), "unit": unit, "fleet": kind}
    print(json.dumps(line | ({"goal": goal} if goal else {})), flush=True)


if __name__ == "__main__":
    main()

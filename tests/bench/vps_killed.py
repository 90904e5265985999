"""A VPS loses its power at half time on a fleet of four: total ÷ undisturbed time. Root, and the machine's rig."""

from __future__ import annotations

import argparse
import json
import time
from datetime import datetime
from typing import Any

from rig import faults
from rig.nomad_fleet import NomadRig
from rig.resident import ResidentRig
from rig.rig import Rig

VPSES, VICTIM = 4, "cxvps3"
TARGET, PORTS = "10.77.0.0/16", "80,443"
RATE_PPS = 2_000  # a minute undisturbed
REST_SECONDS = 5.0  # until the first workers have left: while one stands there, Nomad may pass its VPS over


def run(rig: Rig, kills: bool) -> tuple[float, float, dict[str, Any]]:
    """Seconds from request to completed, when the plug was pulled (seconds since 1970), and the proof."""
    started, killed_at = time.monotonic(), 0.0
    scan_id = rig.api.scan(target=TARGET, tool="masscan", ports=PORTS, rate=RATE_PPS)
    while kills and rig.api.show(scan_id)["progress"] < 50:
        time.sleep(0.1)
    if kills:
        faults.kill_vps(VICTIM)
        killed_at = time.time()
    shown = rig.api.wait_for(scan_id, 600)
    assert shown["status"] == "completed", shown
    return time.monotonic() - started, killed_at, rig.api.coverage(scan_id)


def noticed_after(proof: dict[str, Any], killed_at: float) -> float:
    """Seconds until the first of its chunks was taken by another."""
    taken = [
        datetime.fromisoformat(later["started_at"]).timestamp() - killed_at
        for chunk in proof["chunks"]
        for tried, later in zip(chunk["attempts"], chunk["attempts"][1:], strict=False)
        if tried["outcome"] == "lost"
    ]
    assert taken, "no chunk was lost: the VPS was killed too late"
    return min(taken)


def main() -> None:
    """Undisturbed, then with the fault, on the same fleet."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kind", choices=("resident", "nomad"), default="resident")
    kind = options.parse_args().kind
    rig: Rig = ResidentRig(VPSES) if kind == "resident" else NomadRig(VPSES)
    rig.start(wait_for_the_machine=True)
    try:
        undisturbed, _, _ = run(rig, kills=False)
        time.sleep(REST_SECONDS)
        disturbed, killed_at, proof = run(rig, kills=True)
    finally:
        rig.stop()
    say(kind, "vps_killed_ratio", disturbed / undisturbed, "× the undisturbed time", "≤ 1.45")
    say(kind, "vps_killed_undisturbed", undisturbed, "s", None)
    say(kind, "vps_killed_noticed", noticed_after(proof, killed_at), "s until another took a chunk of it", None)


def say(kind: str, name: str, value: float, unit: str, goal: str | None) -> None:
    """One JSON line."""
    line = {"name": name, "value": round(value, 3), "unit": unit, "fleet": kind}
    print(json.dumps(line | ({"goal": goal} if goal else {})), flush=True)


if __name__ == "__main__":
    main()

"""Seconds from a one-host scan's submit to its start, for ten users beside one scan that takes all. Needs root.

The hog scans a /16 × 1,000 ports at the highest rate, on one node whose limit is 4,000 packets per second.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path

from fixtures.servers.network import TARGETS, built_network
from fixtures.servers.service import Service, service_inside
from rig.waiting import until

USERS = 10
LIMIT_PPS = 4_000


def seconds_to_start(service: Service, scan_id: str) -> float:
    """As the API tells it."""
    until(lambda: service.show(scan_id)["started_at"] is not None, 120)
    shown = service.show(scan_id)
    created, started = (datetime.fromisoformat(shown[name]) for name in ("created_at", "started_at"))
    return (started - created).total_seconds()


def main() -> None:
    """Ten tokens, ten scans, one figure."""
    with (
        tempfile.TemporaryDirectory() as folder,
        built_network() as network,
        service_inside(network, Path(folder) / "data", CLOUDX_NODE_RATE_LIMIT_PPS=str(LIMIT_PPS)) as service,
    ):
        hog = service.scan(target=TARGETS, tool="masscan", ports="1-1000", rate=10_000_000)
        until(lambda: service.show(hog)["chunks"]["leased"] == 1, 20)
        time.sleep(2)
        tokens = [
            service.call("POST", "/api/tokens", json={"name": f"user{n}", "role": "operator"}).json()["token"]
            for n in range(USERS)
        ]
        scans = []
        for number, token in enumerate(tokens):
            body = {"target": f"10.77.9.{number}", "tool": ("nmap", "masscan")[number % 2], "ports": "1-1000"}
            answer = service.call("POST", "/api/scans", json=body, headers={"Authorization": f"Bearer {token}"})
            scans.append(answer.json()["job_id"])
        seconds = [seconds_to_start(service, scan_id) for scan_id in scans]
    line = {"bench": "beside_a_hog", "users": USERS, "goal_seconds": 5}
    line |= {"median_seconds": round(statistics.median(seconds), 2), "longest_seconds": round(max(seconds), 2)}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

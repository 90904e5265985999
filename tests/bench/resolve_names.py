"""How long a scan of many host names takes to be submitted, with a name server that answers after 100 ms.

`scripts/bench resolve_names`. Goal: 250 names in under 2 s. The API is a real one, with gunicorn's gevent workers;
the names come from a real name server (rig/name_server.py), by the system's resolver. Beside it: one name.
With gevent's ten threads, its default, 250 names took 2.6 s and 1,000 took 10.3 s.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from fixtures.servers.name_server import running
from fixtures.servers.service import Service

DELAY_SECONDS = 0.1
COUNTS = (1, 250, 1000, 10_000)
GOAL_COUNT, GOAL_SECONDS = 250, 2.0


def submit_seconds(service: Service, targets: list[str]) -> float:
    """From the request to the answer; the scan is stopped at once."""
    started = time.monotonic()
    scan_id = service.scan(targets=targets, tool="nmap", ports="80")
    seconds = time.monotonic() - started
    service.call("POST", f"/api/scans/{scan_id}/stop")
    return seconds


def main() -> None:
    """One line for each number of names."""
    names = {f"h{n}.test": [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"] for n in range(max(COUNTS))}
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "dns", names, DELAY_SECONDS) as name_server:
        service = Service(Path(folder) / "data", prefix=name_server.prefix)
        service.start()
        try:
            one = submit_seconds(service, [next(iter(names))])
            for count in COUNTS:
                seconds = submit_seconds(service, list(names)[:count])
                line = {
                    "name": f"submit_{count}_names",
                    "value": round(seconds, 2),
                    "unit": "s",
                    "one_name": round(one, 2),
                }
                goal = {"goal": f"< {GOAL_SECONDS:.0f}"} if count == GOAL_COUNT else {}
                print(json.dumps(line | goal), flush=True)
        finally:
            service.stop()


if __name__ == "__main__":
    main()

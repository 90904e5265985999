"""From `cloudx dev` to healthy, with the servers cached. Goal: <= 60 s. Needs root and free default ports."""

from __future__ import annotations

import json
import re
import statistics
import tempfile
import time
from pathlib import Path

from fixtures.servers.cluster import DevCluster, wait_for_the_machine

RUNS = 3


def main() -> None:
    """Median over RUNS, from the process's start to its "healthy"; and to nothing being left after Ctrl-C."""
    up, servers, down = [], [], []
    with tempfile.TemporaryDirectory() as folder, wait_for_the_machine():
        cluster = DevCluster(Path(folder))
        for _ in range(RUNS):
            started = time.monotonic()
            cluster.start()
            up.append(time.monotonic() - started)
            servers.append(float(re.findall(r"identities are set up \((.*) s\)", cluster.said())[0]))
            started = time.monotonic()
            cluster.stop()
            down.append(time.monotonic() - started)
    for name, figures, goal in (("dev_to_healthy", up, "<= 60"), ("dev_servers", servers, ""), ("dev_down", down, "")):
        line = {
            "name": name, "value": round(statistics.median(figures), 1), "unit": "s", "max": round(max(figures), 1),
            "goal": goal,
        }  # fmt: skip
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

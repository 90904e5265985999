"""From `cloudx up` to the first answer, on a fresh data folder and on one that was used before. Goal: < 3 s."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from fixtures.servers.service import CLOUDX, free_port
from rig.environment import clean_environment

RUNS = 5


def seconds_to_first_answer(folder: str) -> float:
    """Start it, ask /api/ready until it answers, stop it."""
    port = free_port()
    environment = clean_environment(CLOUDX_DATA_DIR=folder, PORT=str(port))
    started = time.monotonic()
    process = subprocess.Popen([*CLOUDX, "up"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.monotonic() < started + 60:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/ready", timeout=1):
                    return time.monotonic() - started
            except OSError:
                time.sleep(0.02)
        raise SystemExit("no answer within 60 s")
    finally:
        process.terminate()
        process.wait(30)


def main() -> None:
    """Median over RUNS, and how long Python needs for the same web framework alone."""
    fresh, again = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            fresh.append(seconds_to_first_answer(folder))
            again.append(seconds_to_first_answer(folder))
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import flask, sqlalchemy, gunicorn, gevent, pydantic"], check=True)
    bare = time.monotonic() - started
    for name, figures in (("start_fresh", fresh), ("start_again", again)):
        median = statistics.median(figures)
        line = {
            "name": name, "value": round(median, 2), "unit": "s", "max": round(max(figures), 2), "goal": "< 3",
            "compared_with": "importing the same libraries once", "ratio": round(median / bare, 2),
        }  # fmt: skip
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

"""What a look of the dispatcher costs a real Nomad that keeps 10,000 dead children of the job `scan`, beside none.

A look is the list of the live children and that of the blocked evaluations, four a second while a scan is open.
Needs root.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import requests

from cloudx.adapters.nomad.scan_jobs import NomadScanJobs
from fixtures.servers.cluster_servers import NomadServer

DEAD = 10_000
LIVE = 8
LOOKS = 40
TASK = {"Name": "worker", "Driver": "raw_exec", "Config": {"command": "/bin/true"}}
# Placed nowhere, so that each child costs no process: what Nomad keeps of it is the same.
JOB = {
    "ID": "scan",
    "Type": "batch",
    "Datacenters": ["nowhere"],
    "ParameterizedJob": {"MetaOptional": ["scan_id", "dispatch"]},
    "TaskGroups": [
        {"Name": "worker", "Tasks": [{"Name": "w", "Driver": "raw_exec", "Config": {"command": "/bin/true"}}]}
    ],
}


def main() -> None:
    """The figures before and after 10,000 scans' workers."""
    with tempfile.TemporaryDirectory() as folder:
        nomad = NomadServer(Path(folder))
        nomad.start()
        try:
            nomad.call("POST", "/v1/jobs", {"Job": JOB})
            jobs = NomadScanJobs(nomad.url, lambda: None)
            live = [jobs.dispatch(f"scan-{number}", f"live-{number}") for number in range(LIVE)]
            before = seconds_of(nomad, lambda: look(jobs, live))
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(lambda number: leave_dead_child(nomad.url, number), range(DEAD)))
            after = seconds_of(nomad, lambda: look(jobs, live))
        finally:
            nomad.stop()
    line = {"bench": "dead_children", "dead": DEAD, "ratio_goal": 1.5}
    line |= {"look_ms": before[0] * 1e3, "look_ms_beside_dead": after[0] * 1e3, "ratio": after[0] / before[0]}
    line |= {"nomads_cpu_ms_a_look": before[1] * 1e3, "nomads_cpu_ms_a_look_beside_dead": after[1] * 1e3}
    print(json.dumps({key: round(value, 2) if isinstance(value, float) else value for key, value in line.items()}))


def look(jobs: NomadScanJobs, live: list[str]) -> None:
    """What a step of the dispatcher asks Nomad."""
    assert {child.nomad_job_id for child in jobs.children(live)} == set(live)
    assert set(jobs.no_room(live)) == set(live)


def leave_dead_child(url: str, number: int) -> None:
    """Dispatch one and stop it, as the dispatcher does with the worker of a scan that is over."""
    body = {"Meta": {"scan_id": f"old-{number}", "dispatch": f"dead-{number}"}}
    child = requests.post(f"{url}/v1/job/scan/dispatch", json=body, timeout=60).json()["DispatchedJobID"]
    requests.delete(f"{url}/v1/job/{child.replace('/', '%2F')}", timeout=60).raise_for_status()


def rest(server: psutil.Process) -> None:
    """Wait until it has nothing left to do: it looks at every child that was stopped once more."""
    deadline = time.monotonic() + 300
    while server.cpu_percent(1.0) > 5 and time.monotonic() < deadline:
        continue


def seconds_of(nomad: NomadServer, call: Callable[[], None]) -> tuple[float, float]:
    """The median time of a look, and the server's processor time for one, with half a second of rest after each."""
    server = psutil.Process(nomad.pid)
    rest(server)
    took, spent_before = [], sum(server.cpu_times()[:2])
    for _ in range(LOOKS):
        started = time.monotonic()
        call()
        took.append(time.monotonic() - started)
        time.sleep(0.05)
    return statistics.median(took), (sum(server.cpu_times()[:2]) - spent_before) / LOOKS


if __name__ == "__main__":
    main()

"""Run the files in jobs/ as an operator would, and tell whether they are healthy."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import urllib.request
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from cloudx.domain.errors import ClusterUnavailable

from .layout import DevFolder
from .waiting import Interrupted

JOBS = ("fabio", "backend", "node", "scan")
_DISPATCHED = ("scan",)  # it runs nothing until it is dispatched
_OPTIONS = {"fabio": ("-var=driver=raw_exec",)}  # its program is here, while its image may be out of reach
_EVENTS = 3
_LOG_LINES = 12  # of a failed task


class DevJobs:
    """The jobs of a run, through Nomad's own program and API."""

    def __init__(self, folder: DevFolder, nomad: Path, environment: dict[str, str], stopping: threading.Event) -> None:
        self._stopping = stopping
        self._folder = folder
        self._nomad = nomad
        self._environment = environment

    def run_all(self) -> None:
        """Run `nomad job run` for each file. Raises ClusterUnavailable with Nomad's message, or Interrupted."""
        for name in JOBS:
            if self._stopping.is_set():
                raise Interrupted
            file = self._folder.checkout / f"jobs/{name}.nomad.hcl"
            command = [str(self._nomad), "job", "run", "-detach", *_OPTIONS.get(name, ()), str(file)]
            environment = {**os.environ, **self._environment}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise ClusterUnavailable(f"{file} does not run: {(done.stdout + done.stderr).strip()}")

    def not_running_yet(self) -> list[str]:
        """The jobs without a running, healthy allocation. Raises ClusterUnavailable if a job has failed for good."""
        return [name for name in JOBS if not self._is_healthy(name)]

    def explain(self, name: str) -> str:
        """The state, last events and last log lines of each allocation of a job that does not become healthy."""
        allocations = self._ask(f"job/{name}/allocations")
        return "\n".join(self._report_of(each) for each in allocations) or self._why_not_placed(name) or "no allocation"

    def _is_healthy(self, name: str) -> bool:
        if name in _DISPATCHED:
            return bool(self._ask(f"job/{name}")["Status"] == "running")
        desired = [each for each in self._ask(f"job/{name}/allocations") if each["DesiredStatus"] == "run"]
        for allocation in desired:
            if allocation["ClientStatus"] == "failed":
                raise ClusterUnavailable(f"job {name} has failed: {self._report_of(allocation)}")
        if not desired and (reason := self._why_not_placed(name)):
            raise ClusterUnavailable(f"job {name} cannot be placed: {reason}")
        return bool(desired) and all(_is_well(allocation) for allocation in desired)

    def _why_not_placed(self, name: str) -> str:
        evaluations = self._ask(f"job/{name}/evaluations")
        failed = [each["FailedTGAllocs"] for each in evaluations if each.get("FailedTGAllocs")]
        return json.dumps(failed[0]) if failed else ""

    def _report_of(self, allocation: dict[str, Any]) -> str:
        health = (allocation.get("DeploymentStatus") or {}).get("Healthy")
        lines = [f"allocation {allocation['ID'][:8]} is {allocation['ClientStatus']}, healthy: {health}"]
        for task, state in (allocation.get("TaskStates") or {}).items():
            lines += [f"{task}: {event['DisplayMessage']}" for event in state["Events"][-_EVENTS:]]
            lines += _tail_of(self._folder.nomad / "alloc" / allocation["ID"] / "alloc/logs", task)
        return "\n  ".join(lines)

    def _ask(self, path: str) -> Any:
        address, token = self._environment["NOMAD_ADDR"], self._environment["NOMAD_TOKEN"]
        request = urllib.request.Request(f"{address}/v1/{path}", headers={"X-Nomad-Token": token})  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - as above
            return json.load(answer)


def not_healthy_yet(jobs: DevJobs, more: dict[str, Callable[[], bool]]) -> list[str]:
    """What is still missing: jobs, else the first of `more` that is not ready, since each needs the one before."""
    missing = jobs.not_running_yet()
    if missing:
        return missing
    return list(islice((name for name, ready in more.items() if not ready()), 1))


def _is_well(allocation: dict[str, Any]) -> bool:
    deployment = allocation.get("DeploymentStatus")
    healthy = deployment is None or bool(deployment.get("Healthy"))
    return allocation["ClientStatus"] == "running" and healthy


def _tail_of(logs: Path, task: str) -> list[str]:
    lines: list[str] = []
    for file in sorted(logs.glob(f"{task}.std*.*")):
        lines += file.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return lines

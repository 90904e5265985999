"""Nomad's dispatched scan jobs, by python-nomad's `request`: its dispatch_job puts the token where Nomad ignores it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import orjson
from nomad.api.exceptions import BaseNomadException
from typing_extensions import override

from cloudx.domain.dispatch.states import Child, DispatchOutcome, Placement
from cloudx.domain.errors import CloudxError, DependencyUnavailable, NotFound
from cloudx.services.dispatch.ports import Ending, ScanJobs

from .client import nomad_client, nomad_failure
from .placement import placement_reason

JOB = "scan"
TOKEN = "dispatch"  # noqa: S105 - the name of a key: jobs/scan.nomad.hcl, meta_optional
_NEEDS = 'namespace "default" { capabilities = ["list-jobs", "read-job", "dispatch-job", "deregister-job"] }'
_DISPATCH_TIMEOUT_SECONDS = 10.0
_DETAIL_LIMIT = 300
_PLACING_SECONDS = 0.5  # nothing is placed while the servers elect a leader
_LOOK_SECONDS = 0.02
_DISPATCHED_AT = re.compile(r"(.+/dispatch-\d{8})\d\d-")
_MAX_LISTS = 32  # more take longer than a list of all
_ROUTINE = ("Received", "Task Setup", "Started", "Not Restarting", "Killed")
_LEAVING = "Sent interrupt"  # other Killing events tell a cause, such as no login from Vault


class NomadScanJobs(ScanJobs):
    """Through one Nomad agent; `token` is called for each request, since its file may change. Not thread-safe."""

    def __init__(self, address: str, token: Callable[[], str | None], job: str = JOB) -> None:
        self._address = address
        self._token = token
        self._job = job
        self._prefix = f"{job}/dispatch-"
        self._nomad = nomad_client(address)

    @override
    def dispatch(self, scan_id: str, token: str) -> str:
        body = {"Meta": {"scan_id": scan_id, TOKEN: token}}
        query = {"idempotency_token": token}
        try:
            answer = self._request("post", self._nomad.job, self._job, "dispatch", params=query, json=body)
        except CloudxError as error:
            if "parameterized job not found" in error.message or "is stopped" in error.message:
                raise DependencyUnavailable(
                    f"Nomad has no job {self._job!r}. Run it: nomad job run jobs/scan.nomad.hcl"
                ) from error
            raise
        return str(answer["DispatchedJobID"])

    @override
    def wait_until_placed(self, nomad_job_ids: Sequence[str]) -> None:
        """A job is looked at for as long as one of its evaluations is pending."""
        deadline = time.monotonic() + _PLACING_SECONDS
        for job_id in nomad_job_ids:
            while self._is_being_placed(job_id) and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)

    def _is_being_placed(self, nomad_job_id: str) -> bool:
        evaluations = self._request("get", self._nomad.job, nomad_job_id, "evaluations")
        return any(each["Status"] == "pending" for each in evaluations)

    @override
    def children(self, among: Collection[str] | None = None) -> list[Child]:
        """Read from lists of jobs by prefix: that is all that Nomad looks through."""
        stubs = [stub for prefix in sorted(self._prefixes(among)) for stub in self._live(prefix)]
        return [_child(stub) for stub in stubs if stub["ParentID"] == self._job]

    def _prefixes(self, among: Collection[str] | None) -> set[str]:
        """Few lists that hold them all: by whole ids, else by what the ids of one time begin with, else all."""
        if among is None:
            return {self._prefix}
        if len(set(among)) <= _MAX_LISTS:
            return set(among)
        by_time = {_prefix_by_time(job_id) for job_id in among}
        return by_time if len(by_time) <= _MAX_LISTS else {self._prefix}

    def _live(self, prefix: str) -> list[dict[str, Any]]:
        query = {"prefix": prefix, "meta": "true", "filter": 'Status != "dead"'}
        stubs: list[dict[str, Any]] = self._request("get", self._nomad.jobs, params=query)
        return stubs

    @override
    def no_room(self, nomad_job_ids: Collection[str]) -> dict[str, str]:
        """Read from the jobs' blocked evaluations."""
        blocked = [
            each
            for job_id in nomad_job_ids
            for each in self._request("get", self._nomad.job, job_id, "evaluations")
            if each["Status"] == "blocked" and each.get("FailedTGAllocs")
        ]
        return {each["JobID"]: placement_reason(next(iter(each["FailedTGAllocs"].values()))) for each in blocked}

    @override
    def machines(self, nomad_job_ids: Collection[str]) -> dict[str, str]:
        """Read from the jobs' running allocations."""
        return {
            job_id: stub["NodeID"]
            for job_id in nomad_job_ids
            for stub in self._request("get", self._nomad.job, job_id, "allocations")
            if stub["ClientStatus"] == "running"
        }

    @override
    def last_words(self, nomad_job_id: str) -> str:
        """Read from the newest allocation."""
        allocations = self._request("get", self._nomad.job, nomad_job_id, "allocations")
        if not allocations:
            return ""
        newest = max(allocations, key=lambda stub: int(stub["CreateIndex"]))
        return _words(newest, routine=())

    @override
    def stop(self, nomad_job_id: str) -> None:
        """Without purge: Nomad keeps the job's record until its garbage collection."""
        try:
            self._request("delete", self._nomad.job, nomad_job_id)
        except NotFound:
            return

    @override
    def ending(self, nomad_job_id: str) -> Ending:
        """Read from the newest allocation."""
        allocations = self._request("get", self._nomad.job, nomad_job_id, "allocations")
        if allocations:
            return _ending(max(allocations, key=lambda stub: int(stub["CreateIndex"])))
        try:
            self._request("get", self._nomad.job, nomad_job_id)
        except NotFound:
            return Ending(DispatchOutcome.GONE)
        return Ending(DispatchOutcome.NO_ROOM)

    def _request(self, method: str, endpoint: Any, *path: str, **options: Any) -> Any:
        endpoint.token = self._token()
        try:
            response = endpoint.request(*path, method=method, timeout=_DISPATCH_TIMEOUT_SECONDS, **options)
        except BaseNomadException as error:
            raise nomad_failure(self._address, error, _NEEDS) from error
        return orjson.loads(response.content)


def _prefix_by_time(job_id: str) -> str:
    """What the ids of a child and of those dispatched in the same 100 s begin with: theirs hold the second."""
    by_time = _DISPATCHED_AT.match(job_id)
    return by_time[1] if by_time else job_id


def _child(stub: dict[str, Any]) -> Child:
    groups = ((stub.get("JobSummary") or {}).get("Summary") or {}).values()
    return Child(stub["ID"], (stub.get("Meta") or {}).get(TOKEN, ""), _placement(list(groups)))


def _placement(groups: list[dict[str, int]]) -> Placement:
    for word, placement in (
        ("Running", Placement.RUNNING),
        ("Starting", Placement.STARTING),
        ("Unknown", Placement.AWAY),
    ):
        if any(group.get(word) for group in groups):
            return placement
    return Placement.WAITING


def _ending(stub: dict[str, Any]) -> Ending:
    """How an allocation ended; one that Nomad was told to stop may still be running."""
    status = stub["ClientStatus"]
    is_dead = status in ("complete", "failed")
    worker_id = f"{stub['NodeID']}/{stub['ID']}"
    if status == "failed":
        return Ending(DispatchOutcome.FAILED, _words(stub, count=2), worker_id, is_dead)
    if status in ("lost", "unknown"):
        return Ending(DispatchOutcome.LOST, f"with {stub.get('NodeName') or stub['NodeID']}", worker_id, is_dead)
    finished = status == "complete" and stub["DesiredStatus"] == "run"
    return Ending(DispatchOutcome.FINISHED if finished else DispatchOutcome.STOPPED, None, worker_id, is_dead)


def _words(stub: dict[str, Any], routine: tuple[str, ...] = _ROUTINE, count: int = 1) -> str:
    events = [
        str(event.get("DisplayMessage") or event["Type"])
        for state in (stub.get("TaskStates") or {}).values()
        for event in state.get("Events") or []
        if event["Type"] not in routine and not str(event.get("DisplayMessage")).startswith(_LEAVING)
    ]
    return f"{'; '.join(events[-count:]) or 'it failed'} on {stub.get('NodeName') or stub['NodeID']}"[:_DETAIL_LIMIT]

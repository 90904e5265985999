"""Nomad's jobs and machines, for rollouts and drains, by python-nomad."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nomad.api.exceptions import BaseNomadException
from typing_extensions import override

from cloudx.adapters.nomad.client import nomad_client, nomad_failure
from cloudx.cluster.job_variables import variables_file
from cloudx.cluster.nomad_ports import (
    Allocation,
    Deployment,
    Evaluation,
    JobApi,
    JobSource,
    JobState,
    JobVersion,
    Machines,
    MachineState,
    SubmittedJob,
)
from cloudx.domain.errors import CloudxError

from . import nomad_documents as documents

_LOG_BYTES = 4000

T = TypeVar("T")


class NomadApi:
    """An agent and a token; turns the library's errors into ours."""

    def __init__(self, address: str, token: str | None) -> None:
        self._address = address
        self._client = nomad_client(address, token)

    def _call(self, request: Callable[[], T], needs: str) -> T:
        try:
            return request()
        except BaseNomadException as error:
            raise nomad_failure(self._address, error, needs) from error


class NomadJobs(NomadApi, JobApi):
    """Implements JobApi."""

    @override
    def submit(self, source: JobSource) -> SubmittedJob:
        """Parse on the server and register, with the source for Nomad's own page."""
        body = {"JobHCL": source.hcl, "Canonicalize": True, "Variables": variables_file(source)}
        job = self._call(
            lambda: self._client.jobs.request("parse", json=body, method="post").json(), "namespace parse-job"
        )
        submission = {"Source": source.hcl, "Format": "hcl2", "Variables": body["Variables"]}
        answer = self._call(
            lambda: self._client.jobs.request(json={"Job": job, "Submission": submission}, method="post").json(),
            "namespace submit-job",
        )
        return SubmittedJob(job["ID"], self._job(job["ID"])["Version"], answer["EvalID"])

    @override
    def revert(self, job_id: str, version: int) -> SubmittedJob:
        answer = self._call(lambda: self._client.job.revert_job(job_id, version), "namespace submit-job")
        return SubmittedJob(job_id, self._job(job_id)["Version"], answer["EvalID"])

    @override
    def all(self) -> list[JobState]:
        stubs = self._call(self._client.jobs.get_jobs, "namespace read-job")
        return [self._state(stub) for stub in stubs if not stub["ParentID"]]

    def _state(self, stub: dict[str, Any]) -> JobState:
        job = self._job(stub["ID"])
        groups = ((stub.get("JobSummary") or {}).get("Summary") or {}).values()
        has_count = job["Type"] in ("service", "batch") and not job.get("ParameterizedJob")
        newest = self.deployments(stub["ID"])[:1]
        return JobState(
            job_id=stub["ID"],
            type=job["Type"],
            status=stub["Status"],
            version=documents.job_version(job),
            running=sum(group["Running"] for group in groups),
            desired=sum(group["Count"] for group in job["TaskGroups"]) if has_count else None,
            deployment=newest[0].status if newest else "",
        )

    @override
    def versions(self, job_id: str) -> list[JobVersion]:
        found = self._call(lambda: self._client.job.get_versions(job_id), "namespace read-job")
        return [documents.job_version(job) for job in found["Versions"]]

    @override
    def evaluation(self, evaluation_id: str) -> Evaluation:
        found = self._call(lambda: self._client.evaluation.get_evaluation(evaluation_id), "namespace read-job")
        return documents.evaluation(found)

    @override
    def deployments(self, job_id: str) -> list[Deployment]:
        found = self._call(lambda: self._client.job.get_deployments(job_id), "namespace read-job") or []
        newest_first = sorted(found, key=lambda document: -int(document["CreateIndex"]))
        return [documents.deployment(document) for document in newest_first]

    @override
    def allocations(self, job_id: str) -> list[Allocation]:
        found = self._call(lambda: self._client.job.get_allocations(job_id), "namespace read-job")
        return [documents.allocation(stub) for stub in found]

    @override
    def last_lines(self, allocation_id: str, task: str) -> str:
        texts = (self._log(allocation_id, task, stream) for stream in ("stderr", "stdout"))
        return next((text for text in texts if text), "")

    def _log(self, allocation_id: str, task: str, stream: str) -> str:
        params = {"task": task, "type": stream, "origin": "end", "offset": _LOG_BYTES, "plain": "true"}
        logs = self._client.client.stream_logs
        try:
            answer = self._call(lambda: logs.request(allocation_id, params=params, method="get"), "read-logs")
        except CloudxError:  # a machine that does not answer, or a log that is gone
            return ""
        return str(answer.text).strip()

    def _job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self._call(lambda: self._client.job.get_job(job_id), "namespace read-job")
        return job


class NomadMachines(NomadApi, Machines):
    """Implements Machines."""

    @override
    def all(self) -> list[MachineState]:
        return [documents.machine(stub) for stub in self._call(self._client.nodes.get_nodes, "node read")]

    @override
    def find(self, name: str) -> list[MachineState]:
        nodes = self.all()
        named = [node for node in nodes if name in (node.name, node.id)]
        return named or [node for node in nodes if len(name) >= 4 and node.id.startswith(name)]

    @override
    def state(self, node_id: str) -> MachineState:
        return documents.machine(self._call(lambda: self._client.node.get_node(node_id), "node read"))

    @override
    def drain(self, node_id: str, deadline_seconds: float) -> None:
        spec = {"Deadline": int(deadline_seconds * 1e9), "IgnoreSystemJobs": False}
        self._call(lambda: self._client.node.drain_node_with_spec(node_id, spec), "node write")

    @override
    def restore(self, node_id: str) -> None:
        spec: dict[str, Any] = {}
        self._call(lambda: self._client.node.drain_node_with_spec(node_id, spec, mark_eligible=True), "node write")

    @override
    def allocations(self, node_id: str) -> list[Allocation]:
        found = self._call(lambda: self._client.node.get_allocations(node_id), "namespace read-job")
        return [documents.allocation(document) for document in found]

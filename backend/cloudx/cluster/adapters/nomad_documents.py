"""Read Nomad's JSON documents into the terms of nomad_ports."""

from __future__ import annotations

from typing import Any

from cloudx.adapters.nomad.placement import placement_reason
from cloudx.cluster.nomad_ports import (
    Allocation,
    Deployment,
    Evaluation,
    FailedPlacement,
    GroupProgress,
    JobVersion,
    MachineState,
    TaskReport,
)

_SHOWN_EVENTS = 4


def job_version(job: dict[str, Any]) -> JobVersion:
    """Read the version out of a document of /v1/job/ID."""
    return JobVersion(job["Version"], bool(job["Stable"]), _label(job))


def _label(job: dict[str, Any]) -> str:
    for group in job.get("TaskGroups") or []:
        for service in group.get("Services") or []:
            label = (service.get("Meta") or {}).get("version")
            if label:
                return str(label)
    return ""


def deployment(document: dict[str, Any]) -> Deployment:
    """Read a document of /v1/job/ID/deployments."""
    groups = tuple(_group(name, state) for name, state in sorted((document["TaskGroups"] or {}).items()))
    return Deployment(
        document["ID"], document["JobVersion"], document["Status"], document["StatusDescription"] or "", groups
    )


def _group(name: str, state: dict[str, Any]) -> GroupProgress:
    return GroupProgress(
        name=name,
        desired=state["DesiredTotal"],
        placed=state["PlacedAllocs"],
        healthy=state["HealthyAllocs"],
        unhealthy=state["UnhealthyAllocs"],
        canaries=state["DesiredCanaries"],
        is_promoted=state["Promoted"],
    )


def evaluation(document: dict[str, Any]) -> Evaluation:
    """Read a document of /v1/evaluation/ID."""
    failed = (document.get("FailedTGAllocs") or {}).items()
    placements = tuple(FailedPlacement(group, placement_reason(metric)) for group, metric in sorted(failed))
    return Evaluation(document["Status"], document.get("StatusDescription") or "", placements)


def allocation(stub: dict[str, Any]) -> Allocation:
    """Read a document of /v1/job/ID/allocations, or of /v1/node/ID/allocations, which carries the whole job."""
    version = stub["JobVersion"] if "JobVersion" in stub else stub["Job"]["Version"]
    return Allocation(
        id=stub["ID"],
        job_id=stub["JobID"],
        group=stub["TaskGroup"],
        version=version,
        node_name=stub.get("NodeName") or stub["NodeID"][:8],
        status=stub["ClientStatus"],
        desired=stub["DesiredStatus"],
        healthy=(stub.get("DeploymentStatus") or {}).get("Healthy"),
        tasks=tuple(_task(name, state) for name, state in (stub.get("TaskStates") or {}).items()),
    )


def _task(name: str, state: dict[str, Any]) -> TaskReport:
    events = [str(event.get("DisplayMessage") or event["Type"]) for event in state.get("Events") or []]
    return TaskReport(name, state["State"], state["Failed"], state["Restarts"], tuple(events[-_SHOWN_EVENTS:]))


def machine(node: dict[str, Any]) -> MachineState:
    """Read a document of /v1/nodes or /v1/node/ID."""
    return MachineState(
        id=node["ID"],
        name=node["Name"],
        status=node["Status"],
        is_draining=bool(node["Drain"]),
        is_eligible=node["SchedulingEligibility"] == "eligible",
        last_drain=(node.get("LastDrain") or {}).get("Status", ""),
    )

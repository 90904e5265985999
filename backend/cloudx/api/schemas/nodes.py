"""Nodes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints

from cloudx.domain.errors import InvalidInput
from cloudx.domain.nodes import (
    MAX_CHECKS,
    Check,
    CheckStatus,
    Heartbeat,
    NodeRole,
    NodeStatus,
    Registration,
    bounded_checks,
)
from cloudx.domain.reach import MAX_RANGES, Reach
from cloudx.domain.targets import parse_targets

from .common import Moment, Name, NodeId, Parameters, PlainText

MAX_WAIT_SECONDS = 600.0
_Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
_Load = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
_Pps = Annotated[int, Field(ge=1, le=1_000_000_000)]
_Ranges = Annotated[
    list[Annotated[str, StringConstraints(pattern=r"^[0-9.]{7,15}(-[0-9.]{7,15})?$")]], Field(max_length=MAX_RANGES)
]
_Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]


class _NodeBody(BaseModel):
    # Nodes of a newer version may say more than this one understands, so what is unknown is let through.
    model_config = ConfigDict(extra="ignore")


class CheckBody(_NodeBody):
    """One result of the node's preflight."""

    id: _Word
    name: Name
    status: CheckStatus
    output: Annotated[str, StringConstraints(max_length=2000)] = ""

    def to_check(self) -> Check:
        """The domain's form, with a space for each control character: tools' output may hold any."""
        return Check(self.id, self.name, self.status, "".join(c if c.isprintable() else " " for c in self.output))


class ReachBody(_NodeBody):
    """IPv4 ranges, first-last or one address each."""

    links: _Ranges = Field([], description="On the node's own networks, where each address is its own next hop")
    unrouted: _Ranges = Field([], description="No gateway leads there, or it is the node itself")

    def to_reach(self) -> Reach:
        """The domain's form. Raises InvalidInput."""
        for text in (*self.links, *self.unrouted):
            if parse_targets(text, "reach").addresses.ipv4_size == 0:
                raise InvalidInput("reach", "Write IPv4 ranges, such as 192.0.2.0-192.0.2.255.")
        return Reach(tuple(self.links), tuple(self.unrouted))


class RegisterBody(_NodeBody):
    """The node's identity and what it can do."""

    node_id: NodeId
    hostname: Name
    ip: Name
    role: NodeRole = NodeRole.WORKER
    capabilities: Annotated[list[_Word], Field(max_length=32)] = []
    version: PlainText = ""
    checks: Annotated[list[CheckBody], Field(max_length=MAX_CHECKS)] = []
    rate_limit_pps: _Pps | None = None
    reach: ReachBody | None = None

    def to_registration(self) -> Registration:
        """The form that the service takes."""
        return Registration(
            node_id=self.node_id,
            hostname=self.hostname,
            ip=self.ip,
            role=self.role,
            capabilities=tuple(self.capabilities),
            version=self.version,
            checks=bounded_checks(tuple(check.to_check() for check in self.checks)),
            rate_limit_pps=self.rate_limit_pps,
            reach=self.reach.to_reach() if self.reach else None,
        )


class HeartbeatBody(_NodeBody):
    """How the node is; cpu and mem in percent."""

    node_id: NodeId
    status: NodeStatus = NodeStatus.HEALTHY
    cpu: _Percent | None = None
    mem: _Percent | None = None
    loadavg: Annotated[list[_Load], Field(max_length=3)] = []
    updated_at: Moment

    def to_heartbeat(self) -> Heartbeat:
        """The form that the service takes."""
        return Heartbeat(self.node_id, self.status, self.cpu, self.mem, tuple(self.loadavg), self.updated_at)


class NodePath(Parameters):
    """The id of a node."""

    node_id: str


class NodesQuery(Parameters):
    """The status and the role to show; any where left out."""

    status: NodeStatus | None = None
    role: NodeRole | None = None


class WorkQuery(Parameters):
    """What a worker that waits has heard, and how long it will wait."""

    seen: Annotated[int, Field(ge=0, le=2**62)] = Field(0, description="The number of the last answer")
    wait_seconds: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS, allow_inf_nan=False)] = 0.0


class WorkNumber(BaseModel):
    """It grows whenever there may be new work."""

    number: int
    rest_seconds: float = Field(description="How long to rest between two looks that no new number asks for")


class CheckItem(BaseModel):
    """A check of a node."""

    id: str
    name: str
    status: CheckStatus
    output: str


class NodeItem(BaseModel):
    """A node; cpu and mem in percent; last_seen is its last heartbeat, null when only Consul or Nomad knows it."""

    node_id: str
    hostname: str
    ip: str
    role: NodeRole
    capabilities: list[str]
    version: str
    status: NodeStatus
    last_seen: str | None
    cpu: float | None
    mem: float | None
    loadavg: list[float]
    updated_at: str | None
    checks: list[CheckItem]
    rate_limit_pps: int | None
    sources: list[str]
    stale: bool
    scans_running: int


class NodeList(RootModel[list[NodeItem]]):
    """Every node, by id."""


class Registered(BaseModel):
    """The node is known."""

    node_id: str
    status: str


class BeatTaken(Registered):
    """The heartbeat is stored."""

    next_seconds: float = Field(description="When to beat again: 5, longer where the fleet has more than 150 nodes")

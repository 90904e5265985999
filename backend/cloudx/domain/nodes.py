"""Nodes: the VPSes, what they can do and how they are."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from .beats import GONE_SECONDS, HEARTBEAT_SECONDS, LATE_SECONDS
from .errors import NoCapableNode
from .reach import Reach
from .tools import ScanType

DEGRADED_MEMORY_PERCENT = 95.0
RAW_SOCKET = "raw_socket"
MAX_CHECKS = 32
MAX_CHECK_OUTPUT = 500  # characters of one check; each viewer's list of nodes carries all of them
MAX_OUTPUTS = 8_000  # and of all checks of a node
CONTROL_POOL = "control"  # at Nomad: the machines that run the API, and no scan
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")


class NodeStatus(StrEnum):
    """The states of a node, the worst last."""

    HEALTHY = "healthy"
    DRAINING = "draining"
    DEGRADED = "degraded"
    CRITICAL = "critical"
    OFFLINE = "offline"


# The states in which a node gets no work, and what brings it back.
_REMEDIES = {
    NodeStatus.OFFLINE: "start `cloudx worker` there again",
    NodeStatus.DRAINING: "wait until it is back, or start another worker",
    NodeStatus.CRITICAL: "`cloudx nodes` shows the check that fails",
}


class NodeRole(StrEnum):
    """A node's part in its fleet."""

    PRIMARY = "primary"
    WORKER = "worker"


class ClientState(StrEnum):
    """Whether Nomad places work on a machine."""

    READY = "ready"
    INELIGIBLE = "ineligible"  # up, but gets no new work; a machine stays so after a drain
    DRAINING = "draining"
    DOWN = "down"


class CheckStatus(StrEnum):
    """Consul's words for the state of a check."""

    PASSING = "passing"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Check:
    """One thing a node or Consul checked; `output` says why it fails and the remedy."""

    id: str
    name: str
    status: CheckStatus
    output: str = ""


@lru_cache(maxsize=4096)
def word_of(name: str) -> str:
    """A check's name as one word, by which different sources' checks of the same thing are matched."""
    return _NOT_A_WORD.sub("-", name.lower()).strip("-")


def bounded_checks(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """The same checks, their outputs cut to what a node may make others read."""
    left = MAX_OUTPUTS
    bounded = []
    for check in checks[:MAX_CHECKS]:
        output = check.output[: min(left, MAX_CHECK_OUTPUT)]
        left -= len(output)
        bounded.append(replace(check, output=output))
    return tuple(bounded)


@dataclass(frozen=True)
class Node:
    """One VPS as last reported. cpu and mem are percent, loadavg the 1, 5 and 15 minute averages.

    `client` is its state at Nomad, `is_vouched_for` is true while Consul hears its agent, `stale_sources` are those
    of its sources that do not answer.
    """

    node_id: str
    hostname: str
    ip: str
    role: NodeRole
    capabilities: tuple[str, ...]
    version: str
    registered_at: datetime | None
    last_seen: datetime | None  # None: it sent no heartbeat, another source knows it
    reported_status: NodeStatus = NodeStatus.HEALTHY
    cpu: float | None = None
    mem: float | None = None
    loadavg: tuple[float, ...] = ()
    updated_at: datetime | None = None
    beat_seconds: float = HEARTBEAT_SECONDS  # between two of its beats, as it was told at the last one
    checks: tuple[Check, ...] = ()
    rate_limit_pps: int | None = None  # what its machine can send, over all scans; None: not reported
    reach: Reach | None = None  # None: not reported
    sources: tuple[str, ...] = ("heartbeat",)
    client: ClientState | None = None
    is_vouched_for: bool = False
    stale_sources: tuple[str, ...] = ()

    def status(self, now: datetime) -> NodeStatus:
        """Its status by its last heartbeat, its own report, Nomad and its checks."""
        silent_seconds = self.silent_seconds(now)
        # A drain moves the agent too, so it may be gone already.
        if self.client in (ClientState.DRAINING, ClientState.INELIGIBLE):
            return NodeStatus.DRAINING
        if self._is_gone(silent_seconds):
            return NodeStatus.OFFLINE
        if self.reported_status in (NodeStatus.DRAINING, NodeStatus.OFFLINE, NodeStatus.CRITICAL):
            return self.reported_status
        if any(check.status is CheckStatus.CRITICAL for check in self.checks):
            return NodeStatus.CRITICAL
        overloaded = self.mem is not None and self.mem >= DEGRADED_MEMORY_PERCENT
        # A warning (offloads on, a tool missing) limits what runs here; it does not make the node unwell.
        if self._is_late(silent_seconds) or overloaded:
            return NodeStatus.DEGRADED
        return self.reported_status

    @property
    def gone_after_seconds(self) -> float:
        """How long it may be silent before it counts as gone."""
        return self.beat_seconds + GONE_SECONDS

    def _is_late(self, silent_seconds: float) -> bool:
        return silent_seconds > self.beat_seconds + LATE_SECONDS

    def _is_gone(self, silent_seconds: float) -> bool:
        """Sooner if Nomad misses it too; never while Consul hears its agent."""
        if self.client is ClientState.DOWN and self._is_late(silent_seconds):
            return True
        return silent_seconds > self.gone_after_seconds and not self.is_vouched_for

    def silent_seconds(self, now: datetime) -> float:
        """Since its last heartbeat; infinite where none ever came."""
        return (now - self.last_seen).total_seconds() if self.last_seen else math.inf

    def is_stale(self, now: datetime) -> bool:
        """True when its last heartbeat is too old, or when one of its sources does not answer."""
        has_beaten = self.last_seen is not None
        return bool(self.stale_sources) or (has_beaten and self._is_late(self.silent_seconds(now)))

    def why_not(self, scan_type: ScanType) -> str | None:
        """Why it cannot run such a scan, with the remedy; None when it can."""
        if self.rate_limit_pps is not None and self.rate_limit_pps < scan_type.unheld_pps:
            return (
                f"it may send {self.rate_limit_pps:,} packets per second, and nothing keeps {scan_type.tool} "
                f"{scan_type.name} below {scan_type.unheld_pps:,}; raise its CLOUDX_NODE_RATE_LIMIT_PPS, or use default"
            )
        return missing_capability(self.capabilities, scan_type)


def missing_capability(capabilities: tuple[str, ...], scan_type: ScanType) -> str | None:
    """What a machine lacks for a scan type, with the remedy; None when it lacks nothing."""
    if scan_type.tool.value not in capabilities:
        return f"{scan_type.tool} is not installed (or too old); install it with `apt-get install {scan_type.tool}`"
    if scan_type.needs_raw_socket and RAW_SOCKET not in capabilities:
        return (
            f"{scan_type.tool} {scan_type.name} needs raw sockets; run the worker as root or with CAP_NET_RAW, "
            "or use nmap's default, quick or tcp scan without UDP ports, which fall back to connect()"
        )
    return None


def fit_nodes(nodes: list[Node], scan_type: ScanType, now: datetime) -> list[Node]:
    """The nodes that could run such a scan now."""
    return [node for node in nodes if node.status(now) not in _REMEDIES and node.why_not(scan_type) is None]


def capable(nodes: list[Node], scan_type: ScanType, now: datetime) -> list[Node]:
    """The nodes that can run such a scan now. Raises NoCapableNode saying what each lacks."""
    if fit := fit_nodes(nodes, scan_type, now):
        return fit
    reasons = {node.node_id: _why_unfit(node, scan_type, now) for node in nodes}
    words = "; ".join(f"{n}: {w}" for n, w in list(reasons.items())[:3])
    raise NoCapableNode(
        f"No node can run {scan_type.tool} {scan_type.name} now ({words})."
        if words
        else "No worker has registered. Start one with `cloudx worker` (or use `cloudx up`).",
        nodes=reasons,
    )


def _why_unfit(node: Node, scan_type: ScanType, now: datetime) -> str:
    status = node.status(now)
    return _why_resting(node, status) if status in _REMEDIES else str(node.why_not(scan_type))


def _why_resting(node: Node, status: NodeStatus) -> str:
    """Why a node gets no work: the output of the check that tells, else the remedy for its status."""
    words: list[str] = []
    if status is NodeStatus.CRITICAL:
        words = [_words_of(check) for check in node.checks if check.status is CheckStatus.CRITICAL]
    elif status is NodeStatus.DRAINING:
        words = [f"{check.name}: {check.output}" for check in node.checks if check.id == "nomad-client"]
    return f"it is {status}; {words[0] if words else _REMEDIES[status]}"


def _words_of(check: Check) -> str:
    return f"{check.name}: {check.output or 'it fails and tells no reason; look at it on that machine'}"


@dataclass(frozen=True)
class Registration:
    """What a node reports once, and again when its machine has changed."""

    node_id: str
    hostname: str
    ip: str
    role: NodeRole
    capabilities: tuple[str, ...]
    version: str
    checks: tuple[Check, ...] = ()
    rate_limit_pps: int | None = None  # None: it has not been measured
    reach: Reach | None = None  # None: its routes are too many, or follow more than the destination


@dataclass(frozen=True)
class Heartbeat:
    """What a node reports every few seconds; cpu and mem in percent."""

    node_id: str
    status: NodeStatus
    cpu: float | None
    mem: float | None
    loadavg: tuple[float, ...]
    updated_at: datetime


@dataclass(frozen=True)
class Preflight:
    """What a worker found out about its own machine before taking work."""

    capabilities: tuple[str, ...]
    checks: tuple[Check, ...]
    tool_versions: dict[str, str] = field(default_factory=dict)
    interface: str | None = None  # of the default route
    rate_limit_pps: int | None = None  # what it can send; None: not measured (yet)
    reach: Reach | None = None
    offloads_on: bool = False  # masscan loses replies on such an interface (docs/operations.md)

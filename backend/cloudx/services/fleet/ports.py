"""What knowing the fleet needs from the outside: Consul, Nomad, this machine, other machines, a place to report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from cloudx.domain.addresses import Address
from cloudx.domain.nodes import Check, ClientState, Heartbeat, Registration

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class NodeInstance:
    """A node agent as Consul's catalog has it; `created_index` tells the newer of two on one machine.

    `machine` is the machine's name in Consul. It is settled unless a check that has never run was left out.
    """

    node_id: str
    hostname: str
    ip: str
    version: str
    checks: tuple[Check, ...]
    created_index: int = 0
    machine: str = ""
    is_settled: bool = True


@dataclass(frozen=True)
class NomadClient:
    """A machine as Nomad has it; `remark` is Nomad's own description of its state."""

    node_id: str
    name: str
    ip: str
    state: ClientState
    remark: str = ""


@dataclass(frozen=True)
class Answer(Generic[T_co]):
    """What a blocking query returned; `load` decodes it, which is not worth doing when the index has not moved."""

    index: int
    load: Callable[[], T_co]


class BlockingQuery(Protocol[T_co]):
    """A query that is answered when its answer has changed (Consul's and Nomad's blocking queries)."""

    def __call__(self, index: int, wait_seconds: float) -> Answer[T_co]:
        """The answer once its index is not `index`, or after the wait. Raises DependencyUnavailable.

        The server may add up to a sixteenth to the wait, so that not all clients return at once.
        """
        ...


@dataclass(frozen=True)
class HostSample:
    """This machine at one moment: each figure in percent, and the names of those that stand out of the last minute."""

    unix_ms: int
    percent: dict[str, float]  # by name: cpu, memory, disk, network
    spikes: frozenset[str] = frozenset()


class HostHistory(Protocol):
    """The last minutes of this machine, the same for every process of this API."""

    def start(self) -> None:
        """Begin sampling in the background; once in each process, after the fork."""
        ...

    def samples(self) -> list[HostSample]:
        """Newest first, never empty."""
        ...


@dataclass(frozen=True)
class RoundTrip:
    """One answer of a machine: how long it took, and when it came."""

    milliseconds: float
    unix_ms: int


class LatencyProbe(Protocol):
    """Measures how far away an address is."""

    def round_trips(self, address: Address, count: int) -> list[RoundTrip]:
        """At most `count` answers, oldest first; [] when the address stays silent. Never waits over 3 seconds."""
        ...


class NodeReporter(Protocol):
    """Where a node registers and sends its heartbeats: the shared ledger, or the primary node over HTTP."""

    def register(self, registration: Registration) -> None:
        """Tell what the node is and can do. Raises DependencyUnavailable."""
        ...

    def beat(self, heartbeat: Heartbeat) -> float:
        """Tell how the node is; after how many seconds to tell it again.

        Raises NodeNotRegistered when it must register again, or DependencyUnavailable.
        """
        ...

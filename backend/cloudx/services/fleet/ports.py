"""What knowing the fleet needs from the outside: Consul's and Nomad's answers, latencies, a place to report to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from cloudx.domain.addresses import Address
from cloudx.domain.nodes import Check, ClientState, Heartbeat, Registration

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class NodeInstance:
    """A node agent as Consul's catalog has it; `created_index` tells the newer of two on one machine."""

    node_id: str
    hostname: str
    ip: str
    version: str
    checks: tuple[Check, ...]
    created_index: int = 0


@dataclass(frozen=True)
class NomadClient:
    """A machine as Nomad has it; `said` is Nomad's own remark."""

    node_id: str
    name: str
    ip: str
    state: ClientState
    said: str = ""


@dataclass(frozen=True)
class Answer(Generic[T_co]):
    """What a blocking query returned; `load` decodes it, which is not worth doing when the index has not moved."""

    index: int
    load: Callable[[], T_co]


class BlockingQuery(Protocol[T_co]):
    """A question that is answered when its answer has changed (Consul's and Nomad's blocking queries)."""

    def __call__(self, index: int, wait_seconds: float) -> Answer[T_co]:
        """The answer once its index is not `index`, or after the wait. Raises DependencyUnavailable."""
        ...


class LatencyProbe(Protocol):
    """Measures how far away an address is."""

    def round_trips_ms(self, address: Address, count: int) -> list[float]:
        """One figure an answer, in milliseconds; [] when the address stays silent. Never waits over 3 seconds."""
        ...


class NodeReporter(Protocol):
    """Where a node registers and beats: the shared ledger, or the primary node over HTTP."""

    def register(self, said: Registration) -> None:
        """Say who the node is and what it can do."""
        ...

    def beat(self, said: Heartbeat) -> None:
        """Say how it is. Raises NodeNotRegistered when it must register again."""
        ...

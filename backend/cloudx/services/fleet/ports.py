"""What watching a cluster needs from the outside: answers with an index, and what Consul and Nomad know of a node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from cloudx.domain.nodes import Check, ClientState

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

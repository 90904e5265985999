"""Join what heartbeats, Consul and Nomad know into one node for each machine. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from cloudx.domain.nodes import Check, CheckStatus, ClientState, Node, NodeRole, word_of

from .ports import NodeInstance, NomadClient

HEARTBEAT, CONSUL, NOMAD = "heartbeat", "consul", "nomad"

_CLIENT_CHECKS = {
    ClientState.READY: (CheckStatus.PASSING, "ready for work"),
    ClientState.INELIGIBLE: (
        CheckStatus.WARNING,
        "it gets no new work. `cloudx cluster drain NODE --off` brings it back",
    ),
    ClientState.DRAINING: (
        CheckStatus.WARNING,
        "its work is moving elsewhere. `cloudx cluster drain NODE --off` ends the drain",
    ),
    ClientState.DOWN: (
        CheckStatus.CRITICAL,
        "Nomad has lost the machine. Look whether it runs, and its Nomad agent: `systemctl restart nomad` there",
    ),
}


@dataclass(frozen=True)
class ClusterSnapshot:
    """What Consul and Nomad answered last; `stale` names those of the two that do not answer now."""

    instances: tuple[NodeInstance, ...] = ()
    clients: tuple[NomadClient, ...] = ()
    stale: frozenset[str] = frozenset()


Inputs = tuple[Node | None, NodeInstance | None, NomadClient | None, frozenset[str]]


class JoinedNodes:
    """Joins again and again, and only what differs from the last time: most changes concern one node of thousands."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Inputs, Node]] = {}

    def join(self, beating: Iterable[Node], cluster: ClusterSnapshot) -> tuple[Node, ...]:
        """As join_fleet does; a node that nothing changed about is the same object as the last time."""
        last, self._last = self._last, {}
        for node_id, inputs in _inputs(beating, cluster):
            known = last.get(node_id)
            is_same = known is not None and known[0][0] is inputs[0] and known[0][1:] == inputs[1:]
            self._last[node_id] = known if known and is_same else (inputs, _joined(node_id, *inputs))
        return tuple(node for _, node in self._last.values())


def join_fleet(beating: Iterable[Node], cluster: ClusterSnapshot) -> tuple[Node, ...]:
    """One node for each id that any of the three knows, by id."""
    return JoinedNodes().join(beating, cluster)


def _inputs(beating: Iterable[Node], cluster: ClusterSnapshot) -> Iterator[tuple[str, Inputs]]:
    """What is known of each id, by id."""
    nodes = {node.node_id: node for node in beating}
    clients = {client.node_id: client for client in cluster.clients}
    instances = _believed(cluster.instances, clients)
    for node_id in sorted(nodes.keys() | instances.keys() | clients.keys()):
        yield node_id, (nodes.get(node_id), instances.get(node_id), clients.get(node_id), cluster.stale)


def _believed(instances: Iterable[NodeInstance], clients: Mapping[str, NomadClient]) -> dict[str, NodeInstance]:
    """The instance that speaks for each node: the newest, since while an agent is replaced two are registered.

    Any VPS may register a node agent that claims any node's id, so the one on the machine that Nomad knows by that id
    comes first.
    """

    def rank(instance: NodeInstance) -> tuple[bool, int]:
        client = clients.get(instance.node_id)
        return client is not None and client.name == instance.machine, instance.created_index

    believed: dict[str, NodeInstance] = {}
    for instance in instances:
        known = believed.get(instance.node_id)
        if known is None or rank(instance) > rank(known):
            believed[instance.node_id] = instance
    return believed


def _unheard(node_id: str) -> Node:
    """A machine that never sent a heartbeat."""
    return Node(node_id, "", "", NodeRole.WORKER, (), "", registered_at=None, last_seen=None, sources=())


def _joined(
    node_id: str,
    beating: Node | None,
    instance: NodeInstance | None,
    client: NomadClient | None,
    stale: frozenset[str],
) -> Node:
    node = beating or _unheard(node_id)
    if instance is None and client is None:
        return node  # known by its heartbeats alone: taken as it is
    sources = (*((CONSUL,) if instance else ()), *((NOMAD,) if client else ()), *node.sources)
    return replace(
        node,
        hostname=node.hostname or (instance.hostname if instance else client.name if client else ""),
        ip=node.ip or (instance.ip if instance else client.ip if client else ""),
        version=(instance.version if instance else "") or node.version,
        checks=_checks(node, instance, client),
        sources=sources,
        client=client.state if client else None,
        is_vouched_for=instance is not None and CONSUL not in stale and _is_alive(instance),
        stale_sources=tuple(name for name in sources if name in stale),
    )


def _is_alive(instance: NodeInstance) -> bool:
    return instance.is_settled and all(check.status is not CheckStatus.CRITICAL for check in instance.checks)


def _checks(node: Node, instance: NodeInstance | None, client: NomadClient | None) -> tuple[Check, ...]:
    checks = _live_first(instance.checks, node.checks) if instance else node.checks
    if client is None:
        return checks
    status, meaning = _CLIENT_CHECKS[client.state]
    output = f"{client.remark}: {meaning}" if client.remark else meaning
    checks = (*checks, Check("nomad-client", "Nomad client", status, output))
    is_unheard = instance is None and not node.sources
    return (*checks, _NO_AGENT) if is_unheard and client.state is ClientState.READY else checks


_NO_AGENT = Check(
    "node-agent",
    "node agent",
    CheckStatus.CRITICAL,
    "no node agent has reported from this machine. `nomad job run jobs/node.nomad.hcl` starts one on each",
)


def _live_first(live: tuple[Check, ...], reported: tuple[Check, ...]) -> tuple[Check, ...]:
    """All checks, where Consul's replace those of the registration: Consul runs its own every few seconds."""
    known = {word for check in live for word in (word_of(check.id), word_of(check.name))}
    kept = [check for check in reported if word_of(check.id) not in known and word_of(check.name) not in known]
    return (*live, *kept)

"""Join what heartbeats, Consul and Nomad know into one node a machine. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cloudx.domain.nodes import Check, CheckStatus, ClientState, Node, NodeRole

from .fleet_ports import NodeInstance, NomadClient

HEARTBEAT, CONSUL, NOMAD = "heartbeat", "consul", "nomad"

_NOMAD_SAYS = {
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
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class ClusterView:
    """What Consul and Nomad said last; the names in `stale` are those that do not answer now."""

    instances: tuple[NodeInstance, ...] = ()
    clients: tuple[NomadClient, ...] = ()
    stale: frozenset[str] = frozenset()


def join_fleet(beating: Iterable[Node], cluster: ClusterView) -> tuple[Node, ...]:
    """One node for each id that anybody knows, by id."""
    joined = {node.node_id: node for node in beating}
    for instance in _newest(cluster.instances).values():
        node = joined.get(instance.node_id) or _unheard(instance.node_id)
        joined[instance.node_id] = _with_instance(node, instance, CONSUL in cluster.stale)
    for client in cluster.clients:
        node = joined.get(client.node_id) or _unheard(client.node_id)
        joined[client.node_id] = _with_client(node, client, NOMAD in cluster.stale)
    return tuple(joined[node_id] for node_id in sorted(joined))


def _newest(instances: Iterable[NodeInstance]) -> dict[str, NodeInstance]:
    """While an agent is replaced, two are registered: the newer one speaks for the machine."""
    newest: dict[str, NodeInstance] = {}
    for instance in instances:
        known = newest.get(instance.node_id)
        if known is None or instance.created_index > known.created_index:
            newest[instance.node_id] = instance
    return newest


def _unheard(node_id: str) -> Node:
    """A machine that never beat."""
    return Node(node_id, "", "", NodeRole.WORKER, (), "", registered_at=None, last_seen=None, sources=())


def _with_instance(node: Node, instance: NodeInstance, is_stale: bool) -> Node:
    is_alive = all(check.status is not CheckStatus.CRITICAL for check in instance.checks)
    return replace(
        node,
        hostname=node.hostname or instance.hostname,
        ip=node.ip or instance.ip,
        version=instance.version or node.version,
        checks=_live_first(instance.checks, node.checks),
        sources=(CONSUL, *node.sources),
        is_vouched_for=is_alive and not is_stale,
        stale_sources=(*node.stale_sources, CONSUL) if is_stale else node.stale_sources,
    )


def _with_client(node: Node, client: NomadClient, is_stale: bool) -> Node:
    status, meaning = _NOMAD_SAYS[client.state]
    said = f"{client.said}: {meaning}" if client.said else meaning
    checks = [*node.checks, Check("nomad-client", "Nomad client", status, said)]
    if not node.sources and client.state is ClientState.READY:
        checks.append(_NO_AGENT)
    return replace(
        node,
        hostname=node.hostname or client.name,
        ip=node.ip or client.ip,
        checks=tuple(checks),
        sources=tuple(name for name in (CONSUL, NOMAD, HEARTBEAT) if name == NOMAD or name in node.sources),
        client=client.state,
        stale_sources=(*node.stale_sources, NOMAD) if is_stale else node.stale_sources,
    )


_NO_AGENT = Check(
    "node-agent",
    "node agent",
    CheckStatus.CRITICAL,
    "no node agent has reported from this machine. `nomad job run jobs/node.nomad.hcl` starts one on each",
)


def _live_first(live: tuple[Check, ...], reported: tuple[Check, ...]) -> tuple[Check, ...]:
    """Consul's checks are looked at every few seconds, those of a registration once: the former replace the latter."""
    known = {word for check in live for word in (_word(check.id), _word(check.name))}
    kept = tuple(check for check in reported if _word(check.id) not in known and _word(check.name) not in known)
    return (*live, *kept)


def _word(text: str) -> str:
    return _NOT_A_WORD.sub("-", text.lower()).strip("-")

"""Which nodes can run a scan, by all that is known of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from cloudx.domain.nodes import Check, CheckStatus, ClientState, Node, NodeRole, NodeStatus
from cloudx.domain.tools import SCAN_TYPES, Tool
from cloudx.services.fleet.fit import CountFit, FitCount, KnownFleet
from cloudx.services.fleet.join import ClusterSnapshot
from cloudx.services.fleet.ports import NomadClient
from cloudx.services.fleet.snapshot import FleetReading
from fixtures.capabilities import CAPABILITIES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BEATING = Node("n1", "one", "10.0.0.1", NodeRole.WORKER, CAPABILITIES, "1", NOW, NOW)
BEATING_TOO = replace(BEATING, node_id="n2")
SCAN_TYPE = SCAN_TYPES[Tool.MASSCAN, "tcp_scan"]


def clients(*states: ClientState) -> ClusterSnapshot:
    return ClusterSnapshot(
        clients=tuple(NomadClient(f"n{n}", f"vps{n}", "", state) for n, state in enumerate(states, 1))
    )


def statuses(fleet: KnownFleet) -> list[NodeStatus]:
    return [node.status(NOW) for node in fleet.of([BEATING, BEATING_TOO])]


def test_where_workers_are_dispatched_a_node_without_a_nomad_client_is_unfit() -> None:
    fleet = KnownFleet(lambda: clients(ClientState.READY), workers_are_dispatched=True)
    assert statuses(fleet) == [NodeStatus.HEALTHY, NodeStatus.CRITICAL]


def test_resident_workers_need_no_nomad_client() -> None:
    assert statuses(KnownFleet(lambda: clients(ClientState.READY))) == [NodeStatus.HEALTHY] * 2


def test_while_nomad_has_said_nothing_heartbeats_alone_decide() -> None:
    assert statuses(KnownFleet(workers_are_dispatched=True)) == [NodeStatus.HEALTHY] * 2


def test_a_node_that_could_not_reach_us_a_moment_ago_is_fit_as_soon_as_we_hear_it() -> None:
    unheard = Check("cloudx-node-heartbeat", "heartbeat", CheckStatus.CRITICAL, "no heartbeat has been accepted")
    no_socket = Check("raw", "raw_socket", CheckStatus.CRITICAL, "no")
    (fit, unfit) = KnownFleet().of([replace(BEATING, checks=(unheard,)), replace(BEATING_TOO, checks=(no_socket,))])
    assert (fit.status(NOW), unfit.status(NOW)) == (NodeStatus.HEALTHY, NodeStatus.CRITICAL)


def test_the_fit_nodes_are_counted_once_for_each_reading_of_the_fleet() -> None:
    joined = replace(BEATING, client=ClientState.READY), replace(BEATING_TOO, client=ClientState.DRAINING)
    readings = [FleetReading(joined, NOW), FleetReading((), NOW)]
    cluster = clients(ClientState.READY, ClientState.DRAINING)
    count = CountFit(lambda: readings[0], KnownFleet(lambda: cluster, workers_are_dispatched=True))
    assert count(SCAN_TYPE) == FitCount(1, unfit=frozenset({"n2"}))
    assert count(SCAN_TYPE) is count(SCAN_TYPE)
    del readings[0]
    none = count(SCAN_TYPE)
    assert none.nodes == 0 and "No worker has registered" in none.why_none

"""One node a machine from heartbeats, Consul and Nomad."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from cloudx.domain.nodes import Check, CheckStatus, ClientState, Node, NodeRole, NodeStatus
from cloudx.services.fleet.join import ClusterSnapshot, JoinedNodes, join_fleet
from cloudx.services.fleet.ports import NodeInstance, NomadClient

NOW = datetime(2026, 1, 1, tzinfo=UTC)
S, C = NodeStatus, ClientState
OFFLOADS = Check("offloads", "interface offloads", CheckStatus.PASSING, "all off")
FAILING = Check("raw-socket", "raw_socket", CheckStatus.CRITICAL, "not permitted")
WELL = replace(FAILING, status=CheckStatus.PASSING, output="open")


def beating(node_id: str = "a", silent_seconds: float = 0, **values: Any) -> Node:
    seen = NOW - timedelta(seconds=silent_seconds)
    node = Node(node_id, "host-a", "10.0.0.1", NodeRole.WORKER, ("nmap",), "1", seen, seen, checks=(OFFLOADS,))
    return replace(node, **values)


def instance(*checks: Check, node_id: str = "a", version: str = "2", created: int = 1) -> NodeInstance:
    return NodeInstance(node_id, "consul-a", "10.0.0.2", version, checks or (WELL,), created)


def client(state: ClientState = C.READY, node_id: str = "a", remark: str = "") -> NomadClient:
    return NomadClient(node_id, "nomad-a", "10.0.0.3", state, remark)


def joined(
    *nodes: Node,
    instances: tuple[NodeInstance, ...] = (),
    clients: tuple[NomadClient, ...] = (),
    stale: frozenset[str] = frozenset(),
) -> Node:
    (node,) = join_fleet(nodes, ClusterSnapshot(instances, clients, stale))
    return node


def test_without_a_cluster_the_heartbeats_are_all_there_is():
    nodes = (beating("a"), beating("b"))
    assert join_fleet(nodes, ClusterSnapshot()) == nodes


def test_what_three_sources_know_of_one_machine_is_one_node():
    node = joined(beating(), instances=(instance(),), clients=(client(),))
    assert node.sources == ("consul", "nomad", "heartbeat")
    assert (node.hostname, node.ip, node.version, node.capabilities) == ("host-a", "10.0.0.1", "2", ("nmap",))
    assert [check.id for check in node.checks] == ["raw-socket", "offloads", "nomad-client"]
    assert node.status(NOW) is S.HEALTHY and not node.is_stale(NOW)


def test_the_version_that_was_rolled_out_wins_over_the_package_s_own():
    assert joined(beating(version="0.1"), instances=(instance(version="next"),)).version == "next"
    assert joined(beating(version="0.1"), instances=(instance(version=""),)).version == "0.1"


@pytest.mark.parametrize("name", ["raw_socket", "Raw socket", "raw sockets: raw-socket"])
def test_a_live_check_replaces_the_one_that_was_reported_at_the_agent_s_start(name):
    reported = Check("raw-socket", "raw sockets", CheckStatus.PASSING, "open")
    live = Check("raw-socket" if ":" in name else "x", name, CheckStatus.CRITICAL, "closed")
    node = joined(beating(checks=(reported, OFFLOADS)), instances=(instance(live),))
    assert node.checks == (live, OFFLOADS)


def test_while_an_agent_is_replaced_the_newer_instance_speaks_for_the_machine():
    old, new = instance(FAILING, version="1", created=5), instance(WELL, version="2", created=9)
    for pair in ((old, new), (new, old)):
        node = joined(beating(), instances=pair)
        assert node.version == "2" and node.status(NOW) is S.HEALTHY


def test_an_instance_on_another_machine_that_claims_a_node_s_id_speaks_for_it_in_no_order():
    true = replace(instance(WELL, version="1", created=5), machine="nomad-a")
    forged = replace(instance(FAILING, version="2", created=9), machine="stolen")
    for pair in ((true, forged), (forged, true)):
        node = joined(beating(), instances=pair, clients=(client(),))
        assert node.version == "1" and node.status(NOW) is S.HEALTHY


def test_an_instance_with_a_check_that_never_ran_vouches_for_no_node():
    waiting = replace(instance(WELL), is_settled=False)
    assert joined(beating(silent_seconds=31), instances=(waiting,)).status(NOW) is S.OFFLINE
    assert joined(beating(silent_seconds=31), instances=(instance(WELL),)).status(NOW) is S.DEGRADED


def test_a_failing_check_in_consul_makes_the_node_critical_though_it_beats():
    node = joined(beating(), instances=(instance(FAILING),))
    assert node.status(NOW) is S.CRITICAL and node.checks[0].output == "not permitted"


@pytest.mark.parametrize("state", [C.DRAINING, C.INELIGIBLE])
@pytest.mark.parametrize("silent_seconds", [0, 600])
def test_a_drained_machine_is_draining_even_when_its_agent_was_moved_away_too(state, silent_seconds):
    node = joined(beating(silent_seconds=silent_seconds, reported_status=S.OFFLINE), clients=(client(state),))
    assert node.status(NOW) is S.DRAINING
    assert "cloudx cluster drain NODE --off" in node.checks[-1].output


def test_a_lost_machine_is_offline_as_soon_as_nomad_and_the_silence_agree():
    assert joined(beating(silent_seconds=16)).status(NOW) is S.DEGRADED
    assert joined(beating(silent_seconds=16), clients=(client(C.DOWN),)).status(NOW) is S.OFFLINE


def test_a_machine_that_beats_but_lost_its_nomad_agent_is_critical_and_says_the_remedy():
    node = joined(beating(), clients=(client(C.DOWN, remark="heartbeat missed"),))
    assert node.status(NOW) is S.CRITICAL
    assert "heartbeat missed" in node.checks[-1].output and "systemctl restart nomad" in node.checks[-1].output


def test_a_node_whose_beats_do_not_arrive_is_only_degraded_while_consul_sees_it_well():
    node = beating(silent_seconds=600)
    assert joined(node, instances=(instance(),)).status(NOW) is S.DEGRADED
    assert joined(node, instances=(instance(FAILING),)).status(NOW) is S.OFFLINE


def test_a_consul_that_is_silent_itself_vouches_for_nobody():
    node = joined(beating(silent_seconds=600), instances=(instance(),), stale=frozenset({"consul"}))
    assert node.status(NOW) is S.OFFLINE


def test_nodes_of_a_silent_source_are_stale_and_the_others_are_not():
    view = ClusterSnapshot((instance(),), (client(node_id="b"),), frozenset({"consul"}))
    stale = {node.node_id: node.is_stale(NOW) for node in join_fleet((beating("a"), beating("c")), view)}
    assert stale == {"a": True, "b": False, "c": False}


def test_a_machine_without_a_node_agent_is_shown_offline_with_the_remedy():
    node = joined(clients=(client(),))
    assert (node.hostname, node.ip, node.sources, node.last_seen) == ("nomad-a", "10.0.0.3", ("nomad",), None)
    assert node.status(NOW) is S.OFFLINE
    assert "nomad job run jobs/node.nomad.hcl" in node.checks[-1].output


def test_an_agent_that_consul_sees_before_its_first_beat_is_there_already():
    node = joined(instances=(instance(),))
    assert (node.hostname, node.ip, node.version, node.sources) == ("consul-a", "10.0.0.2", "2", ("consul",))
    assert node.status(NOW) is S.DEGRADED and not node.is_stale(NOW)


def test_every_combination_of_sources_gives_each_id_once_in_order():
    ids = ("c", "a", "b")
    for mask in product((False, True), repeat=9):
        beats = [beating(n) for n, is_on in zip(ids, mask[:3], strict=True) if is_on]
        instances = tuple(instance(node_id=n) for n, is_on in zip(ids, mask[3:6], strict=True) if is_on)
        clients = tuple(client(node_id=n) for n, is_on in zip(ids, mask[6:], strict=True) if is_on)
        nodes = join_fleet(beats, ClusterSnapshot(instances, clients))
        known = {each.node_id for each in instances} | {each.node_id for each in clients}
        known |= {node.node_id for node in beats}
        assert [node.node_id for node in nodes] == sorted(known)
        for node in nodes:
            node.status(NOW)
            assert set(node.sources) == {
                name for name, of in (("heartbeat", beats), ("consul", instances), ("nomad", clients))
                if node.node_id in [one.node_id for one in of]
            }  # fmt: skip


def test_only_what_changed_is_joined_anew():
    beats, joined = (beating("a"), beating("b"), beating("c")), JoinedNodes()
    before = joined.join(beats, ClusterSnapshot((instance(node_id="a"), instance(node_id="b"))))
    after = joined.join(beats, ClusterSnapshot((instance(node_id="a"), instance(FAILING, node_id="b"))))
    assert after[0] is before[0] and after[2] is before[2]
    assert after[1].status(NOW) is S.CRITICAL and before[1].status(NOW) is S.HEALTHY


def test_joining_again_gives_what_joining_afresh_would():
    joined, views = JoinedNodes(), [
        ClusterSnapshot(),
        ClusterSnapshot((instance(),), (client(),)),
        ClusterSnapshot((instance(FAILING),), (client(C.DOWN, "b"),)),
        ClusterSnapshot((instance(FAILING),), (), frozenset({"consul"})),
        ClusterSnapshot((), (client(node_id="z"),)),
    ]  # fmt: skip
    for beats, view in product(((beating("a"), beating("b")), (), (beating("b", 99),)), views * 2):
        assert joined.join(beats, view) == join_fleet(beats, view)

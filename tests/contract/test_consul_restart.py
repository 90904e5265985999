"""A real Consul agent of a VPS that restarts: its checks have not run yet, which is not to have failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cloudx.adapters.consul.catalog import ConsulCatalog
from cloudx.cluster.admit import MachineKind
from cloudx.domain.errors import NoCapableNode
from cloudx.domain.nodes import Check, CheckStatus, Node, NodeRole, capable
from cloudx.domain.tools import SCAN_TYPES, Tool
from cloudx.services.fleet.fit import KnownFleet
from cloudx.services.fleet.last_verdicts import has_not_run
from cloudx.services.fleet.ports import NodeInstance
from cloudx.services.fleet.sources import ClusterWatch
from fixtures.capabilities import CAPABILITIES
from fixtures.servers.cluster_servers import MANAGEMENT_TOKEN, ConsulServer
from fixtures.servers.consul_agents import ConsulAgent
from rig.waiting import until

SCAN_TYPE = SCAN_TYPES[Tool.NMAP, "default"]
INTERVAL_SECONDS = 4
RESTARTS = 6


class _Disk(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"the disk")

    def log_message(self, *_: Any) -> None:
        return


class Vps:
    """A node agent with one check, behind its machine's Consul agent."""

    def __init__(self, folder: Path, consul: ConsulServer) -> None:
        handler = type("Disk", (_Disk,), {})
        self.disk: Any = handler
        self._checks = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._checks.serve_forever, daemon=True).start()
        self._servers = consul
        self.consul = ConsulAgent(folder / "vps1", consul, "vps1", MachineKind.VPS)
        self.consul.start()
        url = f"http://127.0.0.1:{self._checks.server_port}/"
        check = {"CheckID": "disk", "Name": "disk", "HTTP": url, "Interval": f"{INTERVAL_SECONDS}s"}
        body = {"Name": "cloudx-node", "Meta": {"node_id": "vps1"}, "Check": check}
        self.consul.call("PUT", "/v1/agent/service/register", body)

    def is_listed_unrun(self) -> bool:
        """Whether the servers know of the restarted agent's check."""
        return [check["Output"] for check in self._servers.call("GET", "/v1/health/checks/cloudx-node")] == [""]

    def has_run(self) -> bool:
        """Whether the check has run since its agent's start."""
        (check,) = self.consul.call("GET", "/v1/agent/checks").values()
        return bool(check["Output"])

    def close(self) -> None:
        """Take it away."""
        self.consul.stop()
        self._checks.shutdown()
        self._checks.server_close()


@dataclass(frozen=True)
class State:
    """What Consul told of the disk, how it was judged, and why a scan would have been refused then."""

    told: list[Check]
    judged: list[Check]
    refusal: str | None


class Watch:
    """The fleet's view of Consul, with every state that it has been in."""

    def __init__(self, consul: ConsulServer) -> None:
        self.cluster = ClusterWatch(ConsulCatalog(consul.url, lambda: MANAGEMENT_TOKEN))
        self.states: list[State] = []
        self.cluster.start(self._note)

    def _note(self) -> None:
        assert self.cluster.consul is not None
        told = _disks(self.cluster.consul.state.value or ())
        judged = _disks(self.cluster.snapshot().instances)
        self.states.append(State(told, judged, self._refusal()))

    def _refusal(self) -> str | None:
        try:
            capable(KnownFleet(self.cluster.snapshot).of([beating()]), SCAN_TYPE, datetime.now(UTC))
        except NoCapableNode as error:
            # An agent that starts slowly is missed by the others: that is no check of ours that has not run.
            is_that_alone = "Agent not live or unreachable" in str(error) and "disk" not in str(error)
            return None if is_that_alone else str(error)
        return None

    @property
    def told(self) -> list[Check]:
        """Every state of the check at Consul."""
        return [check for state in self.states for check in state.told]

    @property
    def judged(self) -> list[Check]:
        """Every state of the check as it counted."""
        return [check for state in self.states for check in state.judged]

    @property
    def refusals(self) -> list[str]:
        """Why scans would have been refused."""
        return [state.refusal for state in self.states if state.refusal is not None]


def _disks(instances: tuple[NodeInstance, ...]) -> list[Check]:
    return [check for instance in instances for check in instance.checks if check.name == "disk"]


def beating() -> Node:
    now = datetime.now(UTC)
    node = Node("vps1", "vps1", "127.0.0.1", NodeRole.WORKER, CAPABILITIES, "1", now, now)
    return replace(node, checks=(Check("disk", "disk", CheckStatus.PASSING, "as it registered"),))


@pytest.fixture
def vps(tmp_path: Path, new_consul: Callable[[], ConsulServer]) -> Iterator[tuple[ConsulServer, Vps]]:
    """Its check passes at Consul."""
    consul = new_consul()
    made = Vps(tmp_path, consul)
    until(lambda: [c["Status"] for c in consul.call("GET", "/v1/health/checks/cloudx-node")] == ["passing"], 30)
    yield consul, made
    made.close()


def restarted(watch: Watch, vps: Vps) -> None:
    """Kill the agent and start it, until Consul has shown an unrun check; return when it has shown a run one after it.

    The first run comes at a random moment within the interval, so it may be too early to be seen missing.
    """
    for _ in range(RESTARTS):
        before = len(watch.told)
        vps.consul.restart()
        until(vps.has_run, 30)
        if any(map(has_not_run, watch.told[before:])):
            break
    else:
        pytest.fail(f"in {RESTARTS} restarts no check was seen before it had run: {watch.told}")
    until(lambda: not has_not_run(watch.told[-1]), 30, lambda: watch.told)


def test_while_a_restarted_agent_s_checks_have_not_run_the_node_is_what_it_was_and_takes_scans(vps):
    consul, machine = vps
    watch = Watch(consul)
    until(lambda: watch.told, 20)
    restarted(watch, machine)
    assert {check.status for check in watch.judged} == {CheckStatus.PASSING}
    assert watch.refusals == []


def test_an_api_that_starts_meanwhile_goes_by_what_the_node_has_registered(vps):
    consul, machine = vps
    for _ in range(RESTARTS):
        machine.consul.restart()
        until(lambda: machine.is_listed_unrun() or machine.has_run(), 30)
        watch = Watch(consul)
        until(partial(getattr, watch, "told"), 20)
        first = next(state for state in watch.states if state.told)
        if is_unrun := has_not_run(first.told[0]):
            break
    assert is_unrun and (first.judged, first.refusal) == ([], None)


def test_a_check_that_fails_when_it_has_run_again_keeps_the_node_from_work_and_says_why(vps):
    consul, machine = vps
    watch = Watch(consul)
    until(lambda: watch.told, 20)
    machine.consul.kill()
    machine.disk.status = 503
    machine.consul.start()
    until(lambda: watch.refusals, 60, lambda: watch.told)
    time.sleep(1)  # whatever follows it at once is looked at too
    assert all("503 Service Unavailable: the disk" in reason for reason in watch.refusals), watch.refusals

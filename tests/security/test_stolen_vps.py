"""A thief has root on one VPS, and so its agents' tokens. What they do, at the real Consul and Fabio."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from cloudx.cluster.adapters.consul_acl import HttpConsulAcl
from cloudx.cluster.admit import MachineKind
from cloudx.cluster.files import read_cluster_files
from fixtures.servers.cluster_servers import MANAGEMENT_TOKEN, ROOT, ConsulServer
from fixtures.servers.consul_agents import ConsulAgent
from fixtures.servers.fabio import FabioServer
from rig.waiting import until

BACKEND, NODE = "cloudx-backend", "cloudx-node"
BEARER = "Bearer cx_the-callers-own"


class Listener:
    """A web server that notes the Authorization header of each request: the API's instance, or the thief's."""

    def __init__(self, says: str) -> None:
        self.heard: list[str | None] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answer, self, says.encode()))
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class _Answer(BaseHTTPRequestHandler):
    def __init__(self, owner: Listener, says: bytes, *rest: Any) -> None:
        self._owner, self._says = owner, says
        super().__init__(*rest)

    def do_GET(self) -> None:
        if self.path != "/health":
            self._owner.heard.append(self.headers["Authorization"])
        self.send_response(200)
        self.send_header("Content-Length", str(len(self._says)))
        self.end_headers()
        self.wfile.write(self._says)

    def log_message(self, *_: Any) -> None:
        return


def service(name: str, port: int, *tags: str) -> dict[str, Any]:
    """A registration at an agent, healthy at once."""
    check = {"HTTP": f"http://127.0.0.1:{port}/health", "Interval": "1s", "Status": "passing"}
    return {"ID": f"{name}-{uuid.uuid4()}", "Name": name, "Address": "127.0.0.1", "Port": port, "Tags": tags} | {
        "Check": check
    }


@dataclass
class Fleet:
    """A Consul, a control node with the API on it, and two VPSes; the first one is stolen."""

    consul: ConsulServer
    control: ConsulAgent
    stolen: ConsulAgent
    other: ConsulAgent
    api: Listener
    thief: Listener
    fabio_token: str
    backend: dict[str, Any] = field(default_factory=dict)

    def tokens(self) -> tuple[str, ...]:
        """All that the thief finds on the VPS's disk, and no token at all."""
        return (self.stolen.tokens.consul_agent, self.stolen.tokens.nomad_agent, "")

    def refused(self, method: str, path: str, body: Any = None) -> bool:
        """True if the stolen agent and the server refuse a request with each of the stolen tokens."""
        answers = [
            requests.request(method, server.url + path, json=body, headers={"X-Consul-Token": token}, timeout=10)
            for server in (self.stolen, self.consul)
            for token in self.tokens()
        ]
        # 500: Consul's word where it means 403 in an answer of its servers; 404: a thing that this agent has not.
        assert all("rpc error making call: No cluster leader" not in each.text for each in answers)
        return all(
            each.status_code in (403, 404) or "Permission denied" in each.text or "ACL not found" in each.text
            for each in answers
        )

    def catalog(self, path: str) -> Any:
        """What Consul's administrator sees."""
        return self.consul.call("GET", f"/v1/{path}")

    def instances(self, name: str) -> set[tuple[str, int]]:
        """The machine and port of each instance of a service."""
        return {(each["Node"], each["ServicePort"]) for each in self.catalog(f"catalog/service/{name}")}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("stolen")
    consul = ConsulServer(folder)
    consul.start()
    kinds = (("control1", MachineKind.CONTROL), ("vps1", MachineKind.VPS), ("vps2", MachineKind.VPS))
    agents = control, stolen, other = tuple(ConsulAgent(folder / name, consul, name, kind) for name, kind in kinds)
    api, thief = Listener("the API"), Listener("the thief")
    for agent in agents:
        agent.start()
    made = Fleet(consul, control, stolen, other, api, thief, _fabio_token(consul))
    made.backend = service(BACKEND, made.api.port, "urlprefix-/")
    made.control.call("PUT", "/v1/agent/service/register", made.backend)
    made.other.call("PUT", "/v1/agent/service/register", service(NODE, made.api.port))
    until(lambda: made.instances(BACKEND) and made.instances(NODE), 20)
    yield made
    for server in (*agents, consul):
        server.stop()
    for listener in (api, thief):
        listener.close()


def _fabio_token(consul: ConsulServer) -> str:
    acl, secret = HttpConsulAcl(consul.url, MANAGEMENT_TOKEN), str(uuid.uuid4())
    acl.put_policy("cloudx-fabio", read_cluster_files(ROOT).consul_job_policies["fabio"])
    acl.put_token(secret, "Fabio's", ("cloudx-fabio",))
    return secret


@pytest.fixture
def nothing_moved(fleet: Fleet) -> Iterator[None]:
    """After the attack the API's instance and every machine are what they were."""

    def state() -> list[Any]:
        nodes = {node["Node"]: node["Address"] for node in fleet.catalog("catalog/nodes")}
        return [nodes, fleet.instances(BACKEND), fleet.instances("fabio"), fleet.instances("nomad")]

    before = state()
    yield
    assert state() == before


@pytest.mark.usefixtures("nothing_moved")
class TestWhatIsRefused:
    """Each with each of the tokens, at the VPS's own agent and at the server."""

    @pytest.mark.parametrize("name", [BACKEND, "fabio", "cloudx-postgres", "nomad", "nomad-client", "vault", "consul"])
    def test_a_service_other_than_the_node_agent_s(self, fleet: Fleet, name: str) -> None:
        forged = service(name, fleet.thief.port, "urlprefix-/")
        assert fleet.refused("PUT", "/v1/agent/service/register", forged)
        for machine in ("vps1", "vps2", "control1", "a-new-one"):
            body = {"Node": machine, "Address": "127.0.0.1", "SkipNodeUpdate": True, "Service": {"Service": name}}
            assert fleet.refused("PUT", "/v1/catalog/register", body), machine

    def test_the_api_s_instance_written_over_by_a_service_of_the_thief_s(self, fleet: Fleet) -> None:
        forged = {"ID": fleet.backend["ID"], "Service": NODE, "Address": "127.0.0.1", "Port": fleet.thief.port}
        body = {"Node": "control1", "Address": "127.0.0.1", "SkipNodeUpdate": True, "Service": forged}
        assert fleet.refused("PUT", "/v1/catalog/register", body)

    def test_the_api_s_instance_taken_away(self, fleet: Fleet) -> None:
        body = {"Node": "control1", "ServiceID": fleet.backend["ID"]}
        assert fleet.refused("PUT", "/v1/catalog/deregister", body)
        assert fleet.refused("PUT", f"/v1/agent/service/deregister/{fleet.backend['ID']}")

    def test_a_check_that_makes_the_api_s_instance_sick(self, fleet: Fleet) -> None:
        check = {"CheckID": "sick", "Name": "sick", "Status": "critical", "ServiceID": fleet.backend["ID"]}
        body = {"Node": "control1", "Address": "127.0.0.1", "SkipNodeUpdate": True, "Check": check}
        assert fleet.refused("PUT", "/v1/catalog/register", body)

    @pytest.mark.parametrize("machine", ["vps2", "control1", "consul-of-the-test", "a-new-one"])
    def test_another_machine_changed_or_taken_away(self, fleet: Fleet, machine: str) -> None:
        assert fleet.refused("PUT", "/v1/catalog/register", {"Node": machine, "Address": "127.0.0.9"})
        check = {"CheckID": "serfHealth", "Name": "x", "Status": "critical"}
        sick = {"Node": machine, "Address": "127.0.0.1", "SkipNodeUpdate": True, "Check": check}
        assert fleet.refused("PUT", "/v1/catalog/register", sick)
        assert fleet.refused("PUT", "/v1/catalog/deregister", {"Node": machine})
        assert fleet.refused("PUT", f"/v1/agent/force-leave/{machine}")

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("PUT", "/v1/kv/fabio/config", "route add x / http://127.0.0.1:1/"),
            ("PUT", "/v1/acl/token", {"Policies": [{"Name": "global-management"}]}),
            ("PUT", "/v1/acl/policy", {"Name": "mine", "Rules": 'operator = "write"'}),
            ("GET", "/v1/acl/tokens", None),
            ("POST", "/v1/query", {"Name": BACKEND, "Service": {"Service": NODE}}),
            ("PUT", "/v1/session/create", {"Node": "vps2"}),
            ("PUT", "/v1/event/fire/x", None),
            ("GET", "/v1/operator/raft/configuration", None),
            ("GET", "/v1/snapshot", None),
            ("PUT", "/v1/config", {"Kind": "service-defaults", "Name": BACKEND}),
        ],
    )
    def test_anything_of_the_cluster_s_own(self, fleet: Fleet, method: str, path: str, body: Any) -> None:
        assert fleet.refused(method, path, body)


@pytest.mark.parametrize(
    "path", [f"catalog/service/{BACKEND}", f"health/service/{BACKEND}", "kv/?recurse", "event/list"]
)
def test_the_thief_does_not_see_the_api_s_instances(fleet: Fleet, path: str) -> None:
    """An instance's id names its allocation, for which Nomad signs identities (docs/security.md)."""
    for server in (fleet.stolen, fleet.consul):
        for token in fleet.tokens():
            answer = requests.get(f"{server.url}/v1/{path}", headers={"X-Consul-Token": token}, timeout=10)
            assert answer.status_code in (403, 404) or answer.json() == [], answer.text


def test_the_thief_sees_its_own_machine_and_no_other(fleet: Fleet) -> None:
    for token in fleet.tokens():
        headers = {"X-Consul-Token": token}
        nodes = requests.get(f"{fleet.stolen.url}/v1/catalog/nodes", headers=headers, timeout=10).json()
        assert {node["Node"] for node in nodes} <= {"vps1"}
        services = requests.get(f"{fleet.stolen.url}/v1/catalog/services", headers=headers, timeout=10).json()
        assert set(services) <= {NODE}


@pytest.mark.parametrize(
    "path", [f"health/service/{NODE}", f"catalog/service/{NODE}", f"health/checks/{NODE}", "health/state/any"]
)
def test_the_thief_sees_no_other_vps_s_node_agent(fleet: Fleet, path: str) -> None:
    """Its id names its allocation, whose identity is that VPS's credential at the API."""
    theirs = {each["ServiceID"] for each in fleet.catalog(f"catalog/service/{NODE}") if each["Node"] == "vps2"}
    assert theirs
    for token in fleet.tokens():
        answer = requests.get(f"{fleet.stolen.url}/v1/{path}", headers={"X-Consul-Token": token}, timeout=10)
        assert not [name for name in theirs if name in answer.text], answer.text


def test_new_tokens_for_the_stolen_vps_end_the_old_ones(fleet: Fleet, tmp_path: Path) -> None:
    spare = ConsulAgent(tmp_path / "vps3", fleet.consul, "vps3", MachineKind.VPS)
    stolen = spare.tokens
    body = {"Node": "vps3", "Address": "127.0.0.1"}

    def writes(token: str) -> bool:
        url = f"{fleet.consul.url}/v1/catalog/register"
        return requests.put(url, json=body, headers={"X-Consul-Token": token}, timeout=10).ok

    assert writes(stolen.consul_agent)
    again = ConsulAgent(tmp_path / "vps3-again", fleet.consul, "vps3", MachineKind.VPS)
    until(lambda: not writes(stolen.consul_agent), 20)
    assert writes(again.tokens.consul_agent)
    fleet.consul.call("PUT", "/v1/catalog/deregister", {"Node": "vps3"})


def test_the_vps_s_own_agents_register_the_node_agent_and_take_it_away_again(fleet: Fleet) -> None:
    mine = service(NODE, fleet.thief.port)
    before = fleet.instances(NODE)
    fleet.stolen.call("PUT", "/v1/agent/service/register", mine)
    until(lambda: fleet.instances(NODE) == before | {("vps1", fleet.thief.port)}, 20)
    fleet.stolen.call("PUT", f"/v1/agent/service/deregister/{mine['ID']}")
    until(lambda: fleet.instances(NODE) == before, 20)


def test_what_remains_a_node_agent_registered_on_another_machine(fleet: Fleet) -> None:
    """docs/security.md says so: Consul has no right to a service on one machine. That machine's agent takes it away."""
    forged = {"ID": "forged", "Service": NODE, "Address": "127.0.0.1", "Port": fleet.thief.port}
    body = {"Node": "vps2", "Address": "127.0.0.1", "SkipNodeUpdate": True, "Service": forged}
    headers = {"X-Consul-Token": fleet.stolen.tokens.nomad_agent}
    url = f"{fleet.stolen.url}/v1/catalog/register"
    assert requests.put(url, json=body, headers=headers, timeout=10).ok
    assert ("vps2", fleet.thief.port) in fleet.instances(NODE)
    fleet.other.restart()  # its agent compares what it has with the catalog at its start, and each minute or two
    until(lambda: ("vps2", fleet.thief.port) not in fleet.instances(NODE), 30)
    assert ("vps2", fleet.api.port) in fleet.instances(NODE)


# What a stolen VPS may write is a cloudx-node, with any tags. Fabio routes by tag whatever service it can read.
BAIT = ("urlprefix-/", "urlprefix-:80", "urlprefix-/api/scans")
POISON = ("urlprefix-/x weight=heavy", 'urlprefix-/y opts="', "urlprefix-")


@pytest.fixture
def bait(fleet: Fleet) -> Iterator[None]:
    """The thief's VPS offers itself as a route, with every kind of tag."""
    mine = service(NODE, fleet.thief.port, *BAIT, *POISON)
    fleet.stolen.call("PUT", "/v1/agent/service/register", mine)
    until(lambda: ("vps1", fleet.thief.port) in fleet.instances(NODE), 20)
    yield
    fleet.stolen.call("PUT", f"/v1/agent/service/deregister/{mine['ID']}")
    until(lambda: ("vps1", fleet.thief.port) not in fleet.instances(NODE), 20)
    fleet.thief.heard.clear()


NewFabio = Callable[[ConsulServer, str], FabioServer]


def test_a_node_agent_tagged_as_a_route_gets_no_caller_s_bearer_token(
    fleet: Fleet, bait: None, new_fabio: NewFabio
) -> None:
    fabio = new_fabio(fleet.consul, fleet.fabio_token)
    until(fabio.routes, 20)
    fleet.api.heard.clear()
    for path in ("/", "/api/scans", "/x", "/y", "/api/nodes") * 10:
        assert requests.get(fabio.url + path, headers={"Authorization": BEARER}, timeout=10).text == "the API"
    assert set(fabio.routes().values()) == {BACKEND}
    assert fleet.api.heard == [BEARER] * 50
    assert fleet.thief.heard == []


def test_a_tag_that_does_not_parse_stops_no_route_of_the_api_s(fleet: Fleet, bait: None, new_fabio: NewFabio) -> None:
    fabio = new_fabio(fleet.consul, fleet.fabio_token)
    until(fabio.routes, 20)
    second = Listener("the API's second")
    more = service(BACKEND, second.port, "urlprefix-/")
    fleet.control.call("PUT", "/v1/agent/service/register", more)
    until(lambda: len(fabio.routes()) == 2, 20, fabio.routes)
    fleet.control.call("PUT", f"/v1/agent/service/deregister/{more['ID']}")
    until(lambda: len(fabio.routes()) == 1, 20, fabio.routes)
    second.close()


def test_the_attack_is_a_real_one_a_fabio_that_reads_every_service_obeys_the_thief(
    fleet: Fleet, new_fabio: NewFabio
) -> None:
    mine = service(NODE, fleet.thief.port, *BAIT)
    fleet.stolen.call("PUT", "/v1/agent/service/register", mine)
    fabio = new_fabio(fleet.consul, MANAGEMENT_TOKEN)
    until(lambda: NODE in fabio.routes().values(), 20, fabio.routes)
    requests.get(f"{fabio.url}/api/scans", headers={"Authorization": BEARER}, timeout=10)
    assert fleet.thief.heard == [BEARER]
    fleet.stolen.call("PUT", f"/v1/agent/service/deregister/{mine['ID']}")
    until(lambda: NODE not in fabio.routes().values(), 20, fabio.routes)
    poisoned = service(NODE, fleet.thief.port, *POISON)
    fleet.stolen.call("PUT", "/v1/agent/service/register", poisoned)
    until(lambda: "[WARN]" in fabio.log.read_text() and "syntax" in fabio.log.read_text(), 20, fabio.log.read_text)
    fleet.stolen.call("PUT", f"/v1/agent/service/deregister/{poisoned['ID']}")
    fleet.thief.heard.clear()

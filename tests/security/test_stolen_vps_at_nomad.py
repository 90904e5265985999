"""A thief has root on one VPS, and so its Nomad client's secret. What it does at the real Nomad, and what works."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from typing_extensions import override

from cloudx.domain.nodes import CONTROL_POOL
from fixtures import nomad_rpc
from fixtures.servers.cluster_servers import MANAGEMENT_TOKEN, ROOT, DevServer, quiet_port
from fixtures.servers.fabio import job
from fixtures.servers.identities import GuardedNomad
from rig.waiting import until


class StolenClient(DevServer):
    """The Nomad client of a VPS, whose configuration the thief writes."""

    def __init__(self, folder: Path, servers: GuardedNomad) -> None:
        super().__init__("nomad", folder)
        self._servers = servers
        self._ports = {name: quiet_port() for name in ("rpc", "serf")}
        self.pool = "default"

    @override
    def arguments(self) -> list[str]:
        own = {
            "name": "stolen",
            "data_dir": str(self.folder / "data"),
            "bind_addr": "127.0.0.1",
            "advertise": dict.fromkeys(("http", "rpc", "serf"), "127.0.0.1"),
            "ports": self._ports | {"http": self.port},
            "acl": {"enabled": True},
            "client": {
                "enabled": True,
                "servers": [f"127.0.0.1:{self._servers.rpc_port}"],
                "node_pool": self.pool,
                "options": {"fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean"},
            },
            "plugin": {"raw_exec": {"config": {"enabled": True}}},
            "consul": {"address": "127.0.0.1:1"},
        }
        file = self.folder / "own.json"
        file.write_text(json.dumps(own))
        return ["agent", "-config", str(file)]

    @override
    def is_ready(self) -> bool:
        nodes = {node["Name"]: node for node in self._servers.call("GET", "/v1/nodes")}
        return "stolen" in nodes and (nodes["stolen"]["Status"], nodes["stolen"]["NodePool"]) == ("ready", self.pool)

    @property
    def secret(self) -> str:
        """The client's own, from its disk: what the servers know it by."""
        return (self.folder / "data/client/secret-id").read_text().strip()

    @property
    def id(self) -> str:
        """The client's id at Nomad."""
        return (self.folder / "data/client/client-id").read_text().strip()


class ControlNode(GuardedNomad):
    """Nomad's server and the client of a control node."""

    @override
    def arguments(self) -> list[str]:
        more = self.folder / "pool.json"
        more.write_text(json.dumps({"client": {"node_pool": CONTROL_POOL}}))
        telemetry = self.folder / "telemetry.hcl"
        shipped = (ROOT / "nomad/client.hcl").read_text()
        telemetry.write_text("telemetry {" + shipped.partition("\ntelemetry {")[2].partition("\n}\n")[0] + "\n}\n")
        return [*super().arguments(), "-config", str(more), "-config", str(telemetry)]


@pytest.fixture(scope="module")
def control() -> Iterator[ControlNode]:
    with tempfile.TemporaryDirectory(prefix="cxstolen-") as folder:  # task folders' sockets have short paths only
        server = ControlNode(Path(folder))
        server.start()
        body = {"BootstrapSecret": MANAGEMENT_TOKEN}
        requests.post(f"{server.url}/v1/acl/bootstrap", json=body, timeout=10).raise_for_status()
        until(lambda: [node["Status"] for node in server.call("GET", "/v1/nodes")] == ["ready"], 60)
        yield server
        server.stop()


@pytest.fixture(scope="module")
def stolen(control: ControlNode) -> Iterator[StolenClient]:
    with tempfile.TemporaryDirectory(prefix="cxstolen-") as folder:
        client = StolenClient(Path(folder), control)
        client.start()
        yield client
        client.stop()


def secret_job(name: str, **shape: Any) -> dict[str, Any]:
    """A job where jobs/backend runs, with an identity as the API's tasks have it; it sleeps."""
    identity = {"Name": "vault_default", "Audience": ["vault.io"], "TTL": 3600 * 10**9}
    config = {"command": "/bin/sleep", "args": ["600"]}
    task = {"Name": name, "Driver": "raw_exec", "Config": config, "Identities": [identity]}
    group = {"Name": name, "Count": 1, "Tasks": [task], "EphemeralDisk": {"SizeMB": 150}}
    return {"ID": name, "Name": name, "Type": "system", "Datacenters": ["*"], "TaskGroups": [group]} | shape


def where(control: ControlNode, name: str) -> set[str]:
    """The machines that have an allocation of a job."""
    found = control.call("GET", f"/v1/job/{name}/allocations")
    return {each["NodeName"] for each in found if each["DesiredStatus"] == "run"}


def run(control: ControlNode, body: dict[str, Any]) -> None:
    control.call("PUT", "/v1/jobs", {"Job": body})
    path = f"/v1/job/{body['ID']}/evaluations"
    until(lambda: all(each["Status"] != "pending" for each in control.call("GET", path)), 30)
    until(lambda: where(control, body["ID"]), 30)


@pytest.fixture
def hostile(stolen: StolenClient) -> Iterator[StolenClient]:
    """The thief has written the control nodes' pool into its client's configuration, and Nomad took it."""
    stolen.stop()
    stolen.pool = CONTROL_POOL
    stolen.start()
    yield stolen
    stolen.stop()
    stolen.pool = "default"
    stolen.start()


def test_a_vps_as_it_was_set_up_gets_no_task_that_holds_the_install_s_secrets(control, stolen):
    run(control, secret_job("fabio", NodePool=job("fabio")["NodePool"]))
    assert "stolen" not in where(control, "fabio")
    control.purge("fabio")


def test_a_vps_that_moved_itself_to_the_control_pool_gets_none_either_where_control_nodes_are_named(control, hostile):
    (known,) = [node for node in control.call("GET", "/v1/nodes") if node["Name"] != "stolen"]
    shape = job("backend", f'control_nodes=["{known["ID"]}"]')
    run(control, secret_job("backend", NodePool=shape["NodePool"], Constraints=shape["Constraints"]))
    assert where(control, "backend") == {known["Name"]}
    control.purge("backend")


def test_the_attack_is_a_real_one_where_none_is_named_nomad_gives_it_the_task(control, hostile):
    run(control, secret_job("backend", NodePool=job("backend")["NodePool"]))
    assert "stolen" in where(control, "backend")
    control.purge("backend")


def test_the_thief_cannot_take_a_control_node_s_id(control, stolen):
    (known,) = [node for node in control.call("GET", "/v1/nodes") if node["Name"] != "stolen"]
    node = {"ID": known["ID"], "SecretID": stolen.secret, "Datacenter": "dc1", "Name": "stolen"}
    node |= {"NodePool": CONTROL_POOL, "Attributes": {"kernel.name": "linux"}}
    with pytest.raises(nomad_rpc.RpcError, match=r"secret ID does not match|Permission denied"):
        nomad_rpc.call(control.rpc_port, "Node.Register", {"Node": node, "AuthToken": stolen.secret})


@pytest.fixture
def allocation(control: ControlNode) -> Iterator[str]:
    """The id of an allocation of the API, on the control node."""
    run(control, secret_job("backend", NodePool=CONTROL_POOL))
    (found,) = control.call("GET", "/v1/job/backend/allocations")
    yield found["ID"]
    control.purge("backend")


def heard(control: ControlNode, stolen: StolenClient, path: str) -> tuple[int, str]:
    """The status of an answer to the client's secret, and what came of it within three seconds: a stream has no end."""
    headers = {"X-Nomad-Token": stolen.secret}
    answer, came = requests.get(control.url + path, headers=headers, timeout=3, stream=True), b""
    with contextlib.suppress(requests.RequestException):
        for part in answer.iter_content(None):
            came += part
    return answer.status_code, came.decode()


@pytest.mark.parametrize(
    "path",
    ["/v1/allocations", "/v1/job/backend/allocations", "/v1/jobs", "/v1/vars", "/v1/acl/tokens", "/v1/evaluations"],
)
def test_the_client_s_secret_reads_no_job_and_no_allocation(control, stolen, allocation, path):
    status, came = heard(control, stolen, path)
    assert status == 403 or json.loads(came) in ([], None), came[:300]


@pytest.mark.parametrize("topic", ["*", "Allocation", "Job"])
def test_the_client_s_secret_hears_no_event_of_an_allocation(control, stolen, allocation, topic):
    _, came = heard(control, stolen, f"/v1/event/stream?index=1&namespace=*&topic={topic}")
    assert came.strip("{}\n") == ""


def test_what_remains_the_client_s_secret_reads_the_machines_of_the_cluster(control, stolen):
    status, came = heard(control, stolen, "/v1/nodes")
    assert status == 200 and {node["Name"] for node in json.loads(came)} > {"stolen"}


def test_nomad_s_open_metrics_name_no_allocation(control, stolen, allocation):
    """Anybody may read them; with allocations in them they would name the API's."""
    assert "nomad.runtime" in requests.get(f"{control.url}/v1/metrics", timeout=10).text
    assert allocation not in requests.get(f"{control.url}/v1/metrics", timeout=10).text


@pytest.mark.parametrize("method", ["Alloc.List", "Job.Allocations", "Node.GetAllocs", "Node.GetClientAllocs"])
def test_the_client_s_secret_lists_no_other_machine_s_allocations_by_rpc(control, stolen, allocation, method):
    (known,) = [node for node in control.call("GET", "/v1/nodes") if node["Name"] != "stolen"]
    asked = {"AuthToken": stolen.secret, "SecretID": stolen.secret, "Namespace": "default", "AllowStale": True}
    try:
        answer = nomad_rpc.call(control.rpc_port, method, asked | {"NodeID": known["ID"], "JobID": "backend"})
    except nomad_rpc.RpcError:
        return
    assert allocation not in json.dumps(answer), answer


def test_what_remains_nomad_signs_for_any_client_that_knows_an_allocation_s_id(control, stolen, allocation):
    """docs/security.md says so, and why the ids are kept from VPSes. If this fails, Nomad has mended it."""
    wanted = {"AllocID": allocation, "WorkloadIdentifier": "backend", "WorkloadType": 0}
    wanted["IdentityName"] = "vault_default"
    body = {"AuthToken": stolen.secret, "Identities": [wanted], "AllowStale": True, "MinQueryIndex": 0}
    (signed,) = nomad_rpc.call(control.rpc_port, "Alloc.SignIdentities", body)["SignedIdentities"]
    claims = jwt.decode(signed["JWT"], options={"verify_signature": False})
    assert (claims["nomad_job_id"], claims["nomad_task"]) == ("backend", "backend")
    stranger = body | {"AuthToken": "00000000-2222-3333-4444-555555555555"}
    with pytest.raises(nomad_rpc.RpcError, match="Permission denied"):
        nomad_rpc.call(control.rpc_port, "Alloc.SignIdentities", stranger)

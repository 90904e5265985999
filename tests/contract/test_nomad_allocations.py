"""On which machine a real Nomad runs an allocation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudx.adapters.nomad.allocations import NomadAllocations
from cloudx.domain.errors import DependencyUnavailable, Unauthenticated
from fixtures.servers.cluster_servers import NomadServer
from fixtures.servers.service import free_port
from rig.waiting import until

_TASK = {"Name": "t", "Driver": "raw_exec", "Config": {"command": "/bin/sleep", "args": ["300"]}}
_JOB_ID = "whose-node"
_JOB = {"ID": _JOB_ID, "Name": _JOB_ID, "Type": "service", "Datacenters": ["*"]}


@pytest.fixture
def allocation_id(nomad: NomadServer) -> Iterator[str]:
    nomad.call("PUT", "/v1/jobs", {"Job": _JOB | {"TaskGroups": [{"Name": "g", "Tasks": [_TASK]}]}})
    path = f"/v1/job/{_JOB_ID}/allocations"
    until(lambda: nomad.call("GET", path), 20)
    yield str(nomad.call("GET", path)[0]["ID"])
    nomad.purge(_JOB_ID)


def test_the_machine_of_an_allocation_is_found_and_remembered(nomad, allocation_id):
    asked = []
    allocations = NomadAllocations(nomad.url, lambda: asked.append(1))
    assert {allocations.node_of(allocation_id) for _ in range(3)} == {nomad.node_id}
    assert len(asked) == 1


def test_an_allocation_that_there_is_not_authenticates_nobody(nomad):
    with pytest.raises(Unauthenticated):
        NomadAllocations(nomad.url, lambda: None).node_of("11111111-2222-3333-4444-555555555555")


def test_without_nomad_nobody_is_taken_at_their_word():
    with pytest.raises(DependencyUnavailable):
        NomadAllocations(f"http://127.0.0.1:{free_port()}", lambda: None).node_of("a")

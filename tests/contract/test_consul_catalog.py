"""The node agents in a real Consul, by real blocking queries."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from cloudx.adapters.consul.catalog import ConsulCatalog, consul_address
from cloudx.domain.errors import BadConfiguration, CloudxError, DependencyUnavailable
from cloudx.domain.nodes import CheckStatus
from cloudx.services.fleet.follow_query import FollowedQuery
from fixtures.servers.cluster_servers import MANAGEMENT_TOKEN, ConsulServer
from fixtures.servers.service import free_port
from rig.waiting import until

READ_POLICY = 'service_prefix "cloudx-" { policy = "read" }\nnode_prefix "" { policy = "read" }'


def catalog_of(server: ConsulServer, token: str | None = MANAGEMENT_TOKEN) -> ConsulCatalog:
    return ConsulCatalog(server.url, lambda: token)


@pytest.fixture
def registered(consul: ConsulServer) -> Iterator[Callable[..., None]]:
    """Registers machines that are gone after the test."""
    made: set[str] = set()

    def register(node_id: str, *values: str, **meta: str) -> None:
        made.add(node_id)
        consul.register_node(node_id, *values, **meta)

    yield register
    for node_id in made:
        consul.deregister_node(node_id)


def test_an_agent_is_read_with_its_meta_and_its_checks_the_failing_ones_too(consul, registered):
    output = "HTTP GET http://10.9.0.1:24/checks/raw_socket: 503 Service Unavailable Output: not\x1b permitted\n"
    registered("vps1", "critical", output, version="1.4", hostname="vps1.example.org")
    (found,) = catalog_of(consul)(0, 1).load()
    assert (found.node_id, found.hostname, found.version, found.ip) == ("vps1", "vps1.example.org", "1.4", "10.9.0.1")
    assert [(c.name, c.status, c.output) for c in found.checks] == [
        ("raw_socket", CheckStatus.CRITICAL, "503 Service Unavailable: not  permitted")
    ]


def test_how_a_warning_is_told_to_consul_is_not_shown_to_people(consul, registered):
    registered("vps1", "warning", "HTTP GET http://10.9.0.1:24/checks/x: 429 Too Many Requests Output: offloads are on")
    (found,) = catalog_of(consul)(0, 1).load()
    assert [(c.status, c.output) for c in found.checks] == [(CheckStatus.WARNING, "offloads are on")]


def test_a_question_with_an_index_waits_for_a_change_and_sees_it_at_once(consul, registered):
    registered("vps1")
    catalog = catalog_of(consul)
    before = catalog(0, 5)
    changed_at: list[float] = []

    def change() -> None:
        changed_at.append(time.monotonic())
        registered("vps1", "warning")

    threading.Timer(0.5, change).start()
    after = catalog(before.index, 30)
    assert time.monotonic() - changed_at[0] < 10, "not at the end of the wait"
    assert after.index > before.index and after.load()[0].checks[0].status is CheckStatus.WARNING


def test_a_question_without_a_change_returns_after_the_wait_with_the_same_index(consul, registered):
    registered("vps1")
    catalog = catalog_of(consul)
    before, started = catalog(0, 1), time.monotonic()
    assert catalog(before.index, 1).index == before.index
    assert time.monotonic() - started > 0.9


def test_a_token_that_may_read_sees_the_nodes(consul, registered):
    registered("vps1")
    policy = consul.call("PUT", "/v1/acl/policy", {"Name": "read-nodes", "Rules": READ_POLICY})
    token = consul.call("PUT", "/v1/acl/token", {"Policies": [{"ID": policy["ID"]}]})["SecretID"]
    assert [one.node_id for one in catalog_of(consul, token)(0, 1).load()] == ["vps1"]
    consul.call("DELETE", f"/v1/acl/policy/{policy['ID']}")


@pytest.mark.parametrize("token", [None, "99999999-2222-3333-4444-555555555555"])
def test_a_token_that_may_not_is_a_problem_with_its_remedy_and_not_an_empty_fleet(consul, registered, token):
    registered("vps1")
    with pytest.raises(DependencyUnavailable, match="CONSUL_HTTP_TOKEN_FILE needs a policy"):
        catalog_of(consul, token)(0, 1)


def test_the_token_is_asked_for_with_each_question_since_its_file_may_change(consul, registered):
    registered("vps1")
    tokens = iter(["99999999-2222-3333-4444-555555555555", MANAGEMENT_TOKEN])
    catalog = ConsulCatalog(consul.url, lambda: next(tokens))
    with pytest.raises(DependencyUnavailable):
        catalog(0, 1)
    assert len(catalog(0, 1).load()) == 1


def test_the_environment_does_not_win_over_the_address_that_is_given(consul, registered, monkeypatch):
    registered("vps1")
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "99999999-2222-3333-4444-555555555555")
    assert len(catalog_of(consul)(0, 1).load()) == 1


def test_a_consul_that_is_not_there_is_said_with_its_address():
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(DependencyUnavailable, match=url):
        ConsulCatalog(url, lambda: None)(0, 1)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:8500", ("http", "127.0.0.1", 8500)),
        ("consul.example.org", ("http", "consul.example.org", 8500)),
        ("https://consul.example.org/", ("https", "consul.example.org", 443)),
        ("https://[::1]:8501", ("https", "[::1]", 8501)),
    ],
)
def test_every_form_of_upstream_s_address_is_understood(address, parts):
    assert consul_address(address) == parts


@pytest.mark.parametrize("address", ["unix:///run/consul.sock", "http://:8500", "http://x:port", ""])
def test_another_address_is_refused_with_what_it_takes(address):
    with pytest.raises(BadConfiguration, match="takes http"):
        consul_address(address)


def test_following_survives_a_kill_and_a_restart_that_lost_everything(new_consul):
    """kill -9, then a Consul whose index begins anew: the view stays, is marked, and follows the new one."""
    server = new_consul()
    for number in range(40):  # an index well above what a fresh Consul has
        server.register_node("old", "passing", str(number))
    followed = FollowedQuery("consul", catalog_of(server))
    followed.start(lambda: None)
    until(lambda: followed.state.problem is None, 10)
    server.kill()
    until(lambda: followed.state.problem is not None, 5)
    assert [one.node_id for one in followed.state.value or ()] == ["old"]
    server.start()
    server.register_node("new")
    until(lambda: [one.node_id for one in followed.state.value or ()] == ["new"], 15, lambda: followed.state)
    assert followed.state.problem is None
    server.register_node("newer")
    until(lambda: len(followed.state.value or ()) == 2, 2, lambda: followed.state)


def test_a_consul_that_hangs_is_noticed_and_left(new_consul):
    server = new_consul()
    catalog = catalog_of(server)
    index = catalog(0, 1).index
    server.signal(signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(CloudxError):
        catalog(index, 1)
    assert time.monotonic() - started > 1.0
    server.signal(signal.SIGCONT)
    assert catalog(0, 1).load() == ()

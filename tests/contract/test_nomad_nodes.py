"""The machines that a real Nomad knows, by real blocking queries."""

from __future__ import annotations

import threading
import time

import pytest

from cloudx.adapters.nomad.nodes import NomadNodes, state_of
from cloudx.domain.errors import BadConfiguration, DependencyUnavailable
from cloudx.domain.nodes import ClientState
from fixtures.servers.cluster_servers import NomadServer
from fixtures.servers.service import free_port


def eligibility(nomad: NomadServer, word: str) -> None:
    nomad.call("PUT", f"/v1/node/{nomad.node_id}/eligibility", {"Eligibility": word})


def test_a_machine_is_read_with_its_id_name_and_address(nomad):
    (found,) = NomadNodes(nomad.url, lambda: None)(0, 1).load()
    assert found.node_id == nomad.node_id
    assert (found.state, found.ip) == (ClientState.READY, "127.0.0.1") and found.name


def settled_index(nodes):
    """Once nothing changes by itself: a client that has just started still fills in its attributes."""
    index = nodes(0, 1).index
    while (newer := nodes(index, 1).index) != index:
        index = newer
    return index


def test_a_machine_that_is_taken_out_of_scheduling_is_seen_at_once_by_who_waits(nomad):
    nodes = NomadNodes(nomad.url, lambda: None)
    index = settled_index(nodes)
    change = threading.Timer(0.3, eligibility, (nomad, "ineligible"))
    change.start()
    started = time.monotonic()
    try:
        after = nodes(index, 30)
        assert time.monotonic() - started < 5 and after.index > index
        assert after.load()[0].state is ClientState.INELIGIBLE
    finally:
        change.join()
        eligibility(nomad, "eligible")


def test_a_question_without_a_change_returns_after_the_wait_with_the_same_index(nomad):
    nodes = NomadNodes(nomad.url, lambda: None)
    index, answered, waited_seconds = -1, settled_index(nodes), 0.0
    while answered != index:  # a client writes of itself now and then
        index, started = answered, time.monotonic()
        answered, waited_seconds = nodes(index, 1).index, time.monotonic() - started
    assert waited_seconds > 0.9


def test_a_nomad_that_is_not_there_is_said_with_its_address():
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(DependencyUnavailable, match=url):
        NomadNodes(url, lambda: None)(0, 1)


def test_an_address_of_another_kind_is_refused_with_what_it_takes():
    with pytest.raises(BadConfiguration, match="NOMAD_ADDR: takes http"):
        NomadNodes("unix:///run/nomad.sock", lambda: None)


@pytest.mark.parametrize(
    ("status", "is_draining", "eligibility_word", "state"),
    [
        ("ready", False, "eligible", ClientState.READY),
        ("ready", False, "ineligible", ClientState.INELIGIBLE),
        ("ready", True, "ineligible", ClientState.DRAINING),
        ("down", True, "ineligible", ClientState.DOWN),
        ("down", False, "eligible", ClientState.DOWN),
        ("disconnected", False, "eligible", ClientState.DOWN),
        ("initializing", False, "eligible", ClientState.DOWN),
    ],
)
def test_nomad_s_three_words_become_one_state(status, is_draining, eligibility_word, state):
    stub = {"Status": status, "Drain": is_draining, "SchedulingEligibility": eligibility_word}
    assert state_of(stub) is state

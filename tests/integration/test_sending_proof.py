"""A probe counts as completed only if it left the machine: real scans while the link fails. Needs root."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fixtures.servers.network import Network
from fixtures.servers.service import Service
from fixtures.wire import Wire
from rig.waiting import until

PATIENCE_SECONDS = 120


def set_link(network: Network, state: str) -> None:
    """The targets' end of the wire."""
    subprocess.run(["ip", "-n", network.target_namespace, "link", "set", "eth0", state], check=True)


def until_sending(install: Service, scan_id: str) -> None:
    until(lambda: install.show(scan_id)["progress"] > 10, 60, lambda: install.show(scan_id))


def results(install: Service, scan_id: str) -> set[tuple[str, int]]:
    answer = install.call("GET", f"/api/scans/{scan_id}/results?format=ndjson").text
    pairs = [(row["ip"], row["port"]) for row in map(json.loads, answer.splitlines())]
    assert len(pairs) == len(set(pairs))
    return set(pairs)


def outcomes(install: Service, scan_id: str) -> list[str]:
    proof = install.call("GET", f"/api/scans/{scan_id}/coverage").json()
    return [attempt["outcome"] for chunk in proof["chunks"] for attempt in chunk["attempts"]]


@pytest.mark.parametrize(
    ("tool", "port", "expected_ports"), [("masscan", "22,80,1000-1017", (22, 80)), ("zmap", "80", (80,))]
)
def test_a_link_that_goes_away_costs_a_try_and_no_finding(
    install: Service, network: Network, tool: str, port: str, expected_ports: tuple[int, ...]
) -> None:
    target = "10.77.3.0/24" if tool == "masscan" else "10.77.0.0/19"
    scan_id = install.scan(target=target, tool=tool, port=port, rate=1000)
    until_sending(install, scan_id)
    set_link(network, "down")
    time.sleep(1)
    set_link(network, "up")
    shown = install.wait_for(scan_id, PATIENCE_SECONDS)
    assert shown["status"] == "completed", shown
    assert shown["coverage"]["completed"] == shown["coverage"]["planned"]
    assert "failed" in outcomes(install, scan_id)
    assert results(install, scan_id) == network.expected(target, expected_ports)
    assert shown["coverage"]["packets_sent"] > shown["coverage"]["planned"] / 2


def test_a_link_that_stays_away_is_never_called_completed(install: Service, network: Network) -> None:
    scan_id = install.scan(target="10.77.3.0/26", tool="masscan", port="22,80", rate=20)
    until_sending(install, scan_id)
    set_link(network, "down")
    try:
        shown = install.wait_for(scan_id, PATIENCE_SECONDS)
    finally:
        set_link(network, "up")
    assert shown["coverage"]["completed"] == 0, shown
    assert shown["coverage"]["failed"] == shown["coverage"]["planned"] == 64 * 2
    assert "eth0" in shown["error"], shown


@contextmanager
def full_queue(network: Network) -> Iterator[None]:
    """An interface whose queue takes a tenth of what is sent, and drops the rest without a word to the sender."""
    network.run("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "50kbit", "burst", "2kb", "limit", "2kb")
    try:
        yield
    finally:
        network.run("tc", "qdisc", "del", "dev", "eth0", "root")


def test_probes_that_a_queue_dropped_are_not_completed(install: Service, network: Network) -> None:
    with full_queue(network):
        scan_id = install.scan(target="10.77.3.0/24", tool="masscan", port="22,80", rate=1000)
        shown = install.wait_for(scan_id, PATIENCE_SECONDS)
    assert shown["coverage"]["completed"] == 0, shown
    assert "probes left by eth0" in shown["error"]


def test_every_packet_on_the_wire_is_counted_and_no_other(install: Service, network: Network) -> None:
    scan_id = install.scan(target="10.77.4.0/22", tool="masscan", port="80,81", rate=2000)
    shown = install.wait_for(scan_id, PATIENCE_SECONDS)
    assert shown["coverage"]["packets_sent"] == shown["coverage"]["planned"] == 1024 * 2


@pytest.mark.parametrize(("tool", "port"), [("masscan", "80"), ("zmap", "80")])
def test_retries_probe_again_what_did_not_answer_and_only_that(
    install: Service, network: Network, tool: str, port: str
) -> None:
    half_alive = "10.77.200.0/25,10.76.0.0/25"  # nobody answers in the second one
    scan_id = install.scan(target=half_alive, tool=tool, port=port, rate=500, retries=2)
    coverage = install.wait_for(scan_id, PATIENCE_SECONDS)["coverage"]
    assert coverage["planned"] == coverage["completed"] == 256
    assert coverage["packets_sent"] == 256 + 128 + 128
    assert coverage["assumes"] == {"tries": 3, "wait_seconds": 3.0}
    assert results(install, scan_id) == network.expected("10.77.200.0/25", [80])


def test_a_second_try_on_an_interface_with_offloads_is_not_a_flood(install: Service, network: Network) -> None:
    network.set_offloads(on=True)
    try:
        with Wire(network) as wire:
            scan_id = install.scan(target="10.77.8.0/21", tool="masscan", port="81,82", rate=1000)
            coverage = install.wait_for(scan_id, PATIENCE_SECONDS)["coverage"]
    finally:
        network.set_offloads(on=False)
    first, last = wire.first_packet(), wire.last_packet()
    assert first is not None and last is not None
    assert wire.highest_rate(first, last, 3.0) <= 1000 * 1.05
    assert coverage["packets_sent"] == 2 * coverage["planned"] == 2 * 4096


@pytest.mark.parametrize(
    ("tool", "settings"),
    [
        ("masscan", {"target": "10.77.0.0/19", "port": "80"}),
        ("zmap", {"target": "10.77.0.0/19", "port": "80"}),
    ],
)
def test_a_stopped_scan_keeps_what_it_found_and_says_how_far_it_came(
    install: Service, network: Network, tool: str, settings: dict[str, Any]
) -> None:
    scan_id = install.scan(tool=tool, rate=500, **settings)
    until(lambda: install.show(scan_id)["progress"] > 15, 60, lambda: install.show(scan_id))
    install.call("POST", f"/api/scans/{scan_id}/stop")
    stopped = _stopped_chunks(install, scan_id)
    found = results(install, scan_id)
    assert found <= network.expected("10.77.0.0/19", [80])
    assert len(found) > 500  # of about 1,200 sent
    assert 0 < stopped[0]["sent_share"] < 1
    assert stopped[0]["error"].startswith("Not finished")
    coverage = install.show(scan_id)["coverage"]
    assert coverage["completed"] == 0
    assert coverage["not_reached"] == coverage["planned"] == 8192


def _stopped_chunks(install: Service, scan_id: str) -> list[dict[str, Any]]:
    def stopped() -> list[dict[str, Any]]:
        chunks = install.call("GET", f"/api/scans/{scan_id}/coverage").json()["chunks"]
        return [chunk for chunk in chunks if [try_["outcome"] for try_ in chunk["attempts"]] == ["stopped"]]

    until(stopped, 30, lambda: install.call("GET", f"/api/scans/{scan_id}/coverage").text)
    return stopped()


def test_a_scan_ends_at_its_budget_with_what_it_found(install: Service, network: Network) -> None:
    scan_id = install.scan(target="10.77.0.0/19", tool="masscan", port="80", rate=500, budget_seconds=5)
    shown = install.wait_for(scan_id, 60)
    assert shown["status"] == "stopped"
    assert "budget of 5 s" in shown["error"]
    assert shown["coverage"]["not_reached"] > 0
    _stopped_chunks(install, scan_id)
    assert results(install, scan_id)

"""The machine's checks as Consul asks for them, over a real socket."""

from __future__ import annotations

import socket
import threading

import pytest
import requests
from typing_extensions import override

from cloudx.domain.addresses import AddressSet
from cloudx.domain.errors import BadConfiguration
from cloudx.domain.nodes import Check, CheckStatus, Preflight
from cloudx.domain.proof.sending import ProbeFrames
from cloudx.services.chunks.scanner_port import Machine, SendWatch, Way
from cloudx.services.fleet.judge_clock import judge_clock
from cloudx.worker.preflight_server import PreflightServer, parse_address
from cloudx.worker.recent_preflight import RecentPreflight

CHECKS = [
    Check("raw-socket", "raw sockets", CheckStatus.PASSING, "raw sockets open"),
    Check("offloads", "interface offloads", CheckStatus.WARNING, "on: turn them off — ethtool"),
    Check("heartbeat", "heartbeat", CheckStatus.CRITICAL, "nobody answers"),
]


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/checks/raw-socket", 200, "raw sockets open\n"),
        ("/checks/offloads", 429, "on: turn them off — ethtool\n"),
        ("/checks/heartbeat", 503, "nobody answers\n"),
        ("/checks/other", 404, "there are /checks/raw-socket, /checks/offloads, /checks/heartbeat\n"),
        ("/raw-socket", 404, "there are /checks/raw-socket, /checks/offloads, /checks/heartbeat\n"),
    ],
)
def test_each_check_has_a_path_a_status_that_consul_understands_and_its_remedy(path, status, text):
    with PreflightServer(("127.0.0.1", 0), lambda: CHECKS) as server:
        answer = requests.get(f"http://127.0.0.1:{server.port}{path}", timeout=5)
    answer.encoding = "utf-8"
    assert (answer.status_code, answer.text) == (status, text)


def test_a_silent_connection_holds_up_no_other():
    server = PreflightServer(("127.0.0.1", 0), lambda: CHECKS)
    with server, socket.create_connection(("127.0.0.1", server.port)):
        assert requests.get(f"http://127.0.0.1:{server.port}/checks/raw-socket", timeout=2).status_code == 200


def test_a_taken_port_is_named():
    with PreflightServer(("127.0.0.1", 0), lambda: CHECKS) as server, pytest.raises(BadConfiguration) as stopped:
        PreflightServer(("127.0.0.1", server.port), lambda: CHECKS)
    assert str(server.port) in stopped.value.message


@pytest.mark.parametrize(("text", "address"), [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:7000", ("::1", 7000))])
def test_an_address_is_a_host_and_a_port(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["7000", ":7000", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000", ""])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(BadConfiguration, match=r"127\.0\.0\.1:7000"):
        parse_address(text)


class CountingMachine(Machine):
    """Counts its preflights."""

    def __init__(self) -> None:
        self.looks = 0

    @override
    def preflight(self) -> Preflight:
        self.looks += 1
        return Preflight(capabilities=(f"look {self.looks}",), checks=())

    @override
    def watch_sending(self, interface: str, frames: ProbeFrames) -> SendWatch:
        raise NotImplementedError

    @override
    def ways_to(self, addresses: AddressSet) -> list[Way]:
        raise NotImplementedError

    @override
    def source_for(self, addresses: AddressSet) -> str | None:
        raise NotImplementedError


def test_a_fresh_preflight_is_shared_by_all_who_ask_at_once():
    machine = CountingMachine()
    look = RecentPreflight(machine, fresh_seconds=60)
    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert machine.looks == 1


def test_an_old_preflight_is_repeated():
    machine = CountingMachine()
    look = RecentPreflight(machine, fresh_seconds=0)
    assert look() != look()


@pytest.mark.parametrize(
    ("ahead_seconds", "status", "says"),
    [
        (None, CheckStatus.PASSING, "not answered yet"),
        (0.4, CheckStatus.PASSING, "within 2 s"),
        (-2.0, CheckStatus.PASSING, "within 2 s"),
        (2.6, CheckStatus.WARNING, "3 s ahead of the API's"),
        (-60.0, CheckStatus.WARNING, "60 s behind the API's"),
        (-600.0, CheckStatus.CRITICAL, "600 s behind the API's"),
        (61.0, CheckStatus.CRITICAL, "nothing is scanned from here"),
    ],
)
def test_a_clock_that_differs_is_a_warning_and_beyond_a_minute_makes_unfit(ahead_seconds, status, says):
    check = judge_clock(ahead_seconds)
    assert check.status is status and says in check.output
    assert (status is not CheckStatus.PASSING) == ("timedatectl" in check.output)

"""Fabio and an instance of the API whose machine has lost its power: packets to it vanish, and nothing says so.

A namespace of the test's own is that machine. Needs root.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import requests

from fixtures.servers.cluster_servers import MANAGEMENT_TOKEN, ConsulServer
from fixtures.servers.fabio import FabioServer, job
from rig.front import options as front_options
from rig.waiting import until

HERE, THERE, PORT = "10.79.0.1", "10.79.0.2", 8080
NEVER = "10.79.0.77"  # no machine has it
CALLERS_PATIENCE_SECONDS = 10
_SERVE = f"""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open, as gunicorn's do
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"alive")
server = ThreadingHTTPServer(("{THERE}", {PORT}), Answer)
print("ready", flush=True)
server.serve_forever()
"""


class Machine:
    """A machine that serves HTTP and can lose its power."""

    def __init__(self) -> None:
        self.namespace = f"cxtest-lost-{os.getpid()}"
        link = f"cxlost{os.getpid() % 100000}"
        _run("ip", "netns", "add", self.namespace)
        _run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        _run("ip", "addr", "add", f"{HERE}/24", "dev", link)
        _run("ip", "link", "set", link, "up")
        _run("ip", "-n", self.namespace, "addr", "add", f"{THERE}/24", "dev", "eth0")
        _run("ip", "-n", self.namespace, "link", "set", "eth0", "up")
        # A neighbour that nobody is: its packets leave, and none tells that it is not there.
        _run("ip", "neigh", "add", NEVER, "lladdr", "02:00:00:00:00:77", "dev", link)
        command = ["ip", "netns", "exec", self.namespace, sys.executable, "-c", _SERVE]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._server.stdout is not None and self._server.stdout.readline() == "ready\n"

    def lose_power(self) -> None:
        """From now on it takes and sends nothing."""
        for chain in ("INPUT", "OUTPUT"):
            _run("ip", "netns", "exec", self.namespace, "iptables", "-I", chain, "-j", "DROP")

    def remove(self) -> None:
        """Take it away."""
        self._server.kill()
        self._server.communicate()
        _run("ip", "netns", "del", self.namespace)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=20)


@pytest.fixture
def machine() -> Iterator[Machine]:
    """One for the test."""
    made = Machine()
    yield made
    made.remove()


def register(consul: ConsulServer, address: str) -> None:
    """An instance of the API there, which Consul believes to be well: it has not noticed yet."""
    service = {"ID": f"api-{address}", "Service": "cloudx-backend", "Address": address, "Port": PORT}
    check = {"CheckID": f"ready-{address}", "Name": "ready", "ServiceID": service["ID"], "Status": "passing"}
    body = {"Node": "control", "Address": "127.0.0.1", "Service": service | {"Tags": ["urlprefix-/"]}, "Check": check}
    consul.call("PUT", "/v1/catalog/register", body)


@pytest.fixture
def fabio(
    new_consul: Callable[[], ConsulServer], new_fabio: Callable[[ConsulServer, str], FabioServer]
) -> tuple[ConsulServer, FabioServer]:
    """A Consul and the Fabio that follows it."""
    consul = new_consul()
    return consul, new_fabio(consul, MANAGEMENT_TOKEN)


def route_to(consul: ConsulServer, fabio: FabioServer, address: str) -> None:
    register(consul, address)
    until(lambda: f"http://{address}:{PORT}/" in fabio.routes(), 20, fabio.routes)


def test_a_caller_is_answered_though_the_instance_s_machine_takes_no_connection(fabio, machine):
    consul, proxy = fabio
    route_to(consul, proxy, NEVER)
    answer = requests.get(f"{proxy.url}/api/ready", timeout=CALLERS_PATIENCE_SECONDS)
    assert answer.status_code == 504


def test_a_caller_is_answered_though_the_connection_to_the_instance_was_open_before_it_fell_silent(fabio, machine):
    consul, proxy = fabio
    route_to(consul, proxy, THERE)
    assert requests.get(f"{proxy.url}/api/ready", timeout=CALLERS_PATIENCE_SECONDS).text == "alive"
    machine.lose_power()
    answer = requests.get(f"{proxy.url}/api/ready", timeout=CALLERS_PATIENCE_SECONDS)
    assert answer.status_code == 504


def seconds(option: str) -> float:
    assert option.endswith("s") and not option.endswith("ms")
    return float(option.removesuffix("s"))


def test_every_fabio_gives_up_dialling_within_a_second_and_waiting_before_ten():
    arguments = job("fabio", "driver=raw_exec")["TaskGroups"][0]["Tasks"][0]["Config"]["args"]
    of_the_job = dict(itertools.pairwise(arguments))
    for option, most in (("proxy.dialtimeout", 1), ("proxy.responseheadertimeout", CALLERS_PATIENCE_SECONDS - 1)):
        assert 0 < seconds(of_the_job[f"-{option}"]) <= most
        assert front_options()[option] == of_the_job[f"-{option}"]

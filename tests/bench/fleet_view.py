"""From a health change in Consul to its appearance in /api/nodes; and requests/s of it with Consul stopped.

Goals: p99 <= 250 ms, measured until every gunicorn worker shows it; stopped / running >= 0.95.
`scripts/bench fleet_view [NODES]`.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.domain.nodes import Check, CheckStatus, Node, NodeRole
from fixtures.servers.cluster_servers import MANAGEMENT_TOKEN, ConsulServer
from fixtures.servers.service import CLOUDX, free_port
from rig.environment import clean_environment

from .api_rates import TOKEN, bearer, rate

NODES = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
CHANGES = 200
ROUNDS = 5
POLL_REST_SECONDS = 0.005  # to see the change, not to load the machine
_MARK = re.compile(rb"change-\d{5}-")
SETTLED_POLLS = 20  # so many answers in a row, each of a fresh connection, are of every worker


def fill(folder: Path) -> None:
    """A fleet that beats: last seen in an hour, so that nobody falls silent while this runs."""
    engine = engine_for(f"sqlite:///{folder}/cloudx.db")
    upgrade(engine)
    seen = datetime.now(UTC) + timedelta(hours=1)
    checks = tuple(Check(f"tool-{n}", f"{n} installed", CheckStatus.PASSING, n) for n in ("nmap", "masscan", "zmap"))
    with open_ledger_on(engine)() as ledger:
        for number in range(NODES):
            name = f"vps-{number:04}"
            capabilities = ("nmap", "masscan", "zmap", "raw_socket")
            node = Node(name, name, "10.9.0.1", NodeRole.WORKER, capabilities, "1", seen, seen, checks=checks)
            ledger.nodes.save(node)
        ledger.commit()
    engine.dispose()


@contextmanager
def api(folder: Path, consul: ConsulServer) -> Iterator[str]:
    """`cloudx serve` that follows Consul."""
    port = free_port()
    settings = {"CLOUDX_DATA_DIR": str(folder), "PORT": str(port), "CLOUDX_ADMIN_TOKEN": TOKEN}
    cluster = {"CONSUL_HTTP_ADDR": consul.url, "CONSUL_HTTP_TOKEN": MANAGEMENT_TOKEN}
    process = subprocess.Popen([*CLOUDX, "serve"], env=clean_environment(**settings, **cluster), stdout=sys.stderr)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_joined(url)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def wait_until_joined(url: str) -> None:
    """Every node has its check from Consul, from whichever server it comes."""
    deadline, seen = time.monotonic() + 60, 0
    while seen < SETTLED_POLLS and time.monotonic() < deadline:
        try:
            nodes = requests.get(f"{url}/api/nodes", headers=bearer(), timeout=5).json()
            joined = sum("consul" in node["sources"] for node in nodes)
        except requests.RequestException:
            joined = 0
        seen = seen + 1 if joined == NODES else 0
        time.sleep(0.02)
    assert seen == SETTLED_POLLS, "the nodes of Consul did not appear"


def seconds_until_shown(port: int, mark: bytes, started: float) -> float:
    """The moment from which on no answer lacked the mark, since the change was sent."""
    shown_at, shown = 0.0, 0
    while shown < SETTLED_POLLS:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/api/nodes", headers=bearer())
        has_it = mark in connection.getresponse().read()
        connection.close()
        if not has_it:
            shown = 0
        elif shown == 0:
            shown_at, shown = time.monotonic(), 1
        else:
            shown += 1
        time.sleep(POLL_REST_SECONDS)
        assert time.monotonic() - started < 30, "the change never appeared"
    return shown_at - started


class BareWatch:
    """A blocking query with nothing around it, for comparison: when each mark arrived."""

    def __init__(self, consul: ConsulServer) -> None:
        self._url = f"{consul.url}/v1/health/service/cloudx-node"
        self._session = requests.Session()
        self._session.headers.update({"X-Consul-Token": MANAGEMENT_TOKEN, "Accept-Encoding": "identity"})
        self.seen: dict[bytes, float] = {}
        self.is_over = False
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        index = "0"
        while not self.is_over:
            answer = self._session.get(self._url, params={"index": index, "wait": "1s"}, timeout=10)
            arrived = time.monotonic()
            index = answer.headers["X-Consul-Index"]
            for mark in _MARK.findall(answer.content):
                self.seen.setdefault(mark, arrived)

    def __enter__(self) -> BareWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over = True
        self._thread.join()


def measure_changes(url: str, consul: ConsulServer) -> list[tuple[float, float]]:
    """One change after the other, each of another node: seconds to /api/nodes, and to a bare query."""
    port, found = int(url.rpartition(":")[2]), []
    with BareWatch(consul) as bare:
        for number in range(CHANGES):
            mark = f"change-{number:05}-".encode()
            node, status = f"vps-{random.randrange(NODES):04}", random.choice(("passing", "warning", "critical"))
            started = time.monotonic()
            consul.register_node(node, status, mark.decode(), version="1")
            found.append((seconds_until_shown(port, mark, started), bare.seen[mark] - started))
    return found


def report_changes(seconds: list[tuple[float, float]]) -> None:
    """p50, p99 and the worst, in milliseconds."""
    shown, bare = ([1000 * one for one in column] for column in zip(*seconds, strict=True))
    line = {
        "name": "consul_change_to_api_nodes", "value": round(percentile(shown, 99), 1), "unit": "ms p99",
        "goal": "<= 250", "p50": round(percentile(shown, 50), 1), "max": round(max(shown), 1),
        "compared_with": f"a bare blocking query, p50 {percentile(bare, 50):.1f} p99 {percentile(bare, 99):.1f} ms",
        "changes": len(shown), "nodes": NODES, "load_average": os.getloadavg()[0],
    }  # fmt: skip
    print(json.dumps(line), flush=True)


def percentile(values: list[float], percent: int) -> float:
    """The smallest value that so many percent do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def report_stopped(url: str, consul: ConsulServer) -> None:
    """Consul is killed and started in turn, so that a busy moment of the machine hits both."""
    pairs = []
    for _ in range(ROUNDS):
        running = rate(f"{url}/api/nodes", **{"Accept-Encoding": "gzip"})
        consul.kill()
        time.sleep(1)
        pairs.append((rate(f"{url}/api/nodes", **{"Accept-Encoding": "gzip"}), running))
        consul.start()
        time.sleep(6)  # the longest pause between two tries
    stopped, running = (statistics.median(column) for column in zip(*pairs, strict=True))
    line = {
        "name": "nodes_with_consul_stopped", "value": round(stopped), "unit": "requests/s",
        "compared_with": f"Consul running at {running:.0f} requests/s",
        "ratio": round(statistics.median(one / other for one, other in pairs), 2),
        "lowest_ratio": round(min(one / other for one, other in pairs), 2), "goal": ">= 0.95", "nodes": NODES,
    }  # fmt: skip
    print(json.dumps(line), flush=True)


def main() -> None:
    """Both figures with one real Consul."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        consul = ConsulServer(folder)
        consul.start()
        try:
            fill(folder)
            for number in range(NODES):
                consul.register_node(f"vps-{number:04}", version="1")
            with api(folder, consul) as url:
                report_changes(measure_changes(url, consul))
                report_stopped(url, consul)
        finally:
            consul.stop()


if __name__ == "__main__":
    main()

"""Requests a second of /api/nodes with 1,000 nodes beside /api/ping, by wrk. Goals: 0.6 of it, with an ETag 0.9."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.domain.nodes import Check, CheckStatus, Node, NodeRole
from fixtures.servers.service import CLOUDX, free_port
from rig.environment import clean_environment

NODES = 1000
ROUNDS = 5
SECONDS = 2
CONNECTIONS = 16
TOKEN = "bench"
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")


# What our own workers report of themselves; a node that registers by the API's call alone has none.
CHECKS = (
    Check("tool-nmap", "nmap installed", CheckStatus.PASSING, "nmap 7.93"),
    Check("tool-masscan", "masscan installed", CheckStatus.PASSING, "masscan 1.3.2"),
    Check("tool-zmap", "zmap installed", CheckStatus.PASSING, "zmap 2.1.1"),
    Check("raw-socket", "raw sockets", CheckStatus.PASSING, "raw sockets open"),
    Check("offloads", "interface offloads", CheckStatus.PASSING, "eth0: all off"),
)


def fill(folder: Path, checks: tuple[Check, ...]) -> None:
    """A fleet as its nodes would have registered it; all silent for an hour, so that the view keeps its ETag."""
    engine = engine_for(f"sqlite:///{folder}/cloudx.db")
    upgrade(engine)
    seen = datetime.now(UTC) - timedelta(hours=1)
    with open_ledger_on(engine)() as ledger:
        for number in range(NODES):
            ledger.nodes.save(
                Node(
                    node_id=f"vps-{number:04}",
                    hostname=f"vps-{number:04}.example.org",
                    ip=f"10.66.{number // 250}.{number % 250 + 1}",
                    role=NodeRole.WORKER,
                    capabilities=("nmap", "masscan", "zmap", "raw_socket"),
                    version="1.0.0",
                    registered_at=seen,
                    last_seen=seen,
                    cpu=12.5,
                    mem=43.1,
                    loadavg=(0.5, 0.4, 0.3),
                    updated_at=seen,
                    checks=checks,
                )
            )
        ledger.commit()
    engine.dispose()


@contextmanager
def gunicorn(folder: Path) -> Iterator[str]:
    """`cloudx serve` on a free port."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = clean_environment(CLOUDX_DATA_DIR=str(folder), PORT=str(port), CLOUDX_ADMIN_TOKEN=TOKEN)
    process = subprocess.Popen([*CLOUDX, "serve"], env=environment, stdout=sys.stderr)
    try:
        for _ in range(300):
            try:
                if len(requests.get(f"{url}/api/nodes", headers=bearer(), timeout=2).json()) == NODES:
                    break
            except requests.RequestException:
                pass
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def bearer() -> dict[str, str]:
    """What every request carries, /api/ping too."""
    return {"Authorization": f"Bearer {TOKEN}"}


def rate(url: str, **headers: str) -> float:
    """Requests a second; fails on any answer that is not a 2xx or 3xx."""
    options = [part for name, value in (bearer() | headers).items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", *options, url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = _RATE.search(text)
    assert found and "Non-2xx" not in text and "Socket errors" not in text, text
    return float(found[1])


def main() -> None:
    """A fleet without checks and one with five a node; every figure right beside one of ping, ROUNDS times."""
    for suffix, checks in (("", ()), ("_with_checks", CHECKS)):
        with tempfile.TemporaryDirectory() as name, gunicorn_with_fleet(Path(name), checks) as url:
            measure(url, suffix)


def measure(url: str, suffix: str) -> None:
    """Print the figures of one fleet. The goals are for the first: the second's body is twice as large."""
    etag = requests.get(f"{url}/api/nodes", headers=bearer(), timeout=5).headers["ETag"]
    plain = requests.get(f"{url}/api/nodes", headers=bearer() | {"Accept-Encoding": ""}, timeout=5)
    variants = {
        "nodes_plain": (0.6, {}),
        "nodes_gzip": (0.6, {"Accept-Encoding": "gzip"}),
        "nodes_not_modified": (0.9, {"Accept-Encoding": "gzip", "If-None-Match": etag}),
    }
    for variant, (goal, headers) in variants.items():
        pairs = [(rate(f"{url}/api/nodes", **headers), rate(f"{url}/api/ping")) for _ in range(ROUNDS)]
        ratios = [one / ping for one, ping in pairs]
        median, ping = (statistics.median(column) for column in zip(*pairs, strict=True))
        line = {
            "name": variant + suffix, "value": round(median), "unit": "requests/s",
            "compared_with": f"/api/ping at {ping:.0f} requests/s", "ratio": round(statistics.median(ratios), 2),
            "lowest_ratio": round(min(ratios), 2), "highest_ratio": round(max(ratios), 2),
            "goal": "reported" if suffix else f">= {goal}", "nodes": NODES, "body_bytes": len(plain.content),
        }  # fmt: skip
        print(json.dumps(line), flush=True)


@contextmanager
def gunicorn_with_fleet(folder: Path, checks: tuple[Check, ...]) -> Iterator[str]:
    """A running API that knows NODES nodes."""
    fill(folder, checks)
    with gunicorn(folder) as url:
        yield url


if __name__ == "__main__":
    main()

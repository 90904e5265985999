"""Kill, stop and starve the real processes mid-scan: the scan ends by itself and counts everything once.

Each scan is nmap's on 1,024 loopback addresses, slow enough to be interrupted, with one port that a
listener of the test holds open on all of them and one that is closed.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudx.adapters.machine.disk_space import NEEDED_BYTES
from fixtures.servers.service import CLOUDX, Service, free_port
from rig.waiting import until

TARGET = "127.0.0.0/22"
HOSTS = 1024
RATE_PPS = 400
LEASE_SECONDS = 12.0

BROKEN_NMAP = """#!/bin/sh
[ "$1" = --version ] && exec echo "Nmap version 7.93"
echo "QUITTING! no luck" >&2
exit 1
"""

NewService = Callable[..., Service]


@pytest.fixture
def open_port() -> Iterator[int]:
    """A port that is open on every loopback address."""
    with socket.create_server(("0.0.0.0", 0), backlog=512) as listener:
        yield listener.getsockname()[1]


def slow_scan(service: Service, open_port: int, **more: Any) -> str:
    ports = f"{open_port},{free_port()}"
    return service.scan(target=TARGET, tool="nmap", scan_type="quick", ports=ports, rate=RATE_PPS, **more)


def until_half_way(service: Service, scan_id: str) -> None:
    def is_under_way() -> bool:
        shown = service.show(scan_id)
        assert shown["status"] in ("submitted", "running"), shown
        return bool(shown["chunks"]["done"] >= 1 and shown["chunks"]["leased"] >= 1)

    until(is_under_way, 60, lambda: service.show(scan_id))


def assert_complete_and_counted_once(service: Service, scan_id: str, open_port: int) -> dict[str, Any]:
    shown = service.wait_for(scan_id, 150)
    assert shown["status"] == "completed", shown
    coverage = shown["coverage"]
    assert coverage["planned"] == coverage["completed"] == HOSTS, coverage
    assert coverage["excluded"] == coverage["failed"] == 0, coverage
    answer = service.call("GET", f"/api/scans/{scan_id}/results?format=ndjson")
    found = Counter((row["ip"], row["port"]) for row in map(_json, answer.text.splitlines()))
    assert set(found.values()) == {1}
    assert len(found) == HOSTS
    assert {port for _, port in found} == {open_port}
    return shown


def _json(line: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line)
    return row


def outcomes(service: Service, scan_id: str) -> Counter[str]:
    """How many attempts of the scan ended how."""
    proof = service.call("GET", f"/api/scans/{scan_id}/coverage").json()
    return Counter(str(attempt["outcome"]) for chunk in proof["chunks"] for attempt in chunk["attempts"])


def test_a_killed_scanner_costs_its_chunk_a_second_try(new_service: NewService, open_port: int) -> None:
    service = new_service()
    service.start()
    scan_id = slow_scan(service, open_port)
    until_half_way(service, scan_id)
    until(lambda: service.named("nmap"), 5)
    service.named("nmap")[0].kill()
    assert_complete_and_counted_once(service, scan_id, open_port)
    assert outcomes(service, scan_id)["failed"] == 1


def test_a_killed_worker_is_replaced_and_its_chunks_are_run_again(new_service: NewService, open_port: int) -> None:
    service = new_service()
    service.start()
    scan_id = slow_scan(service, open_port)
    until_half_way(service, scan_id)
    scanners = service.named("nmap")
    service.named("worker")[0].kill()
    psutil.wait_procs(scanners, 5)
    assert not [scanner for scanner in scanners if scanner.is_running()], "a scanner outlived its worker"
    assert_complete_and_counted_once(service, scan_id, open_port)
    assert outcomes(service, scan_id)["lost"] >= 1


def test_a_killed_gunicorn_worker_stops_neither_the_api_nor_the_scan(new_service: NewService, open_port: int) -> None:
    service = new_service()
    service.start()
    scan_id = slow_scan(service, open_port)
    until_half_way(service, scan_id)
    master = next(
        p for p in service.processes() if "cloudx.server.run" in " ".join(p.cmdline()) and p.ppid() == service.pid
    )
    master.children()[0].kill()
    until(lambda: len(master.children()) == 2, 15)
    assert_complete_and_counted_once(service, scan_id, open_port)


def test_everything_killed_at_once_goes_on_after_a_restart(new_service: NewService, open_port: int) -> None:
    service = new_service()
    service.start()
    scan_id = slow_scan(service, open_port)
    until_half_way(service, scan_id)
    service.kill_everything()
    service.start()
    assert_complete_and_counted_once(service, scan_id, open_port)


def test_an_orderly_stop_gives_its_chunks_back_at_once(new_service: NewService, open_port: int) -> None:
    service = new_service()
    service.start()
    scan_id = slow_scan(service, open_port)
    until_half_way(service, scan_id)
    assert service.stop() == 0
    service.start()
    assert_complete_and_counted_once(service, scan_id, open_port)
    assert outcomes(service, scan_id)["released"] >= 1
    assert outcomes(service, scan_id)["lost"] == 0


def test_a_worker_that_slept_past_its_lease_cannot_commit(new_service: NewService, open_port: int) -> None:
    service = new_service()
    service.start()
    log = service.data_dir.parent / "sleeper.log"
    with open(log, "wb") as output:
        environment = service.env | {"NODE_ID": "sleeper"}
        sleeper = psutil.Popen([*CLOUDX, "worker"], env=environment, stdout=output, stderr=output)
    try:
        until(lambda: "sleeper" in {node["node_id"] for node in service.call("GET", "/api/nodes").json()}, 20)
        scan_id = slow_scan(service, open_port)
        until(partial(_is_suspended_with_a_lease, sleeper, service, scan_id), 60, log.read_text)
        # Its scanners run on and finish; only their reader sleeps.
        shown = assert_complete_and_counted_once(service, scan_id, open_port)
        sleeper.resume()
        gave_up = ("chunk.lost", "chunk.dropped", "chunk.fenced")
        until(lambda: any(word in log.read_text() for word in gave_up), 20, log.read_text)
        assert service.show(scan_id)["coverage"] == shown["coverage"]
        assert_complete_and_counted_once(service, scan_id, open_port)
        assert outcomes(service, scan_id)["lost"] >= 1
    finally:
        sleeper.kill()
        sleeper.wait(10)


def _is_suspended_with_a_lease(sleeper: psutil.Popen, service: Service, scan_id: str) -> bool:
    """Suspend it in the middle of a chunk; on a busy machine it has committed before it is suspended."""
    if not _has_leases(service, scan_id, "sleeper"):
        return False
    _suspend_between_transactions(sleeper, service.data_dir / "cloudx.db")
    if _has_leases(service, scan_id, "sleeper"):
        return True
    sleeper.resume()
    return False


def _suspend_between_transactions(process: psutil.Process, database: Path) -> None:
    """Not while it holds the lock of the SQLite file: then nothing could go on without it."""
    while True:
        process.suspend()
        try:
            with closing(sqlite3.connect(database, timeout=3)) as connection:
                connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError:
            process.resume()
            time.sleep(0.1)


def _has_leases(service: Service, scan_id: str, node_id: str) -> bool:
    return any(worker["node_id"] == node_id and worker["rate"] for worker in service.show(scan_id)["workers"])


def test_a_postgresql_restart_mid_scan_loses_nothing(
    new_service: NewService, open_port: int, postgres: Any, postgres_database: str
) -> None:
    service = new_service(DATABASE_URL=postgres_database)
    service.start()
    scan_id = slow_scan(service, open_port)
    until_half_way(service, scan_id)
    postgres.stop()
    answer = service.call("GET", f"/api/scans/{scan_id}")
    assert (answer.status_code, answer.json()["code"]) == (503, "dependency_unavailable"), answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    time.sleep(6)
    postgres.start()
    until(lambda: service.call("GET", f"/api/scans/{scan_id}").status_code == 200, 20)
    assert_complete_and_counted_once(service, scan_id, open_port)


def test_a_missing_tool_is_refused_with_the_remedy(new_service: NewService, tmp_path: Path) -> None:
    service = new_service(prefix=hiding("/usr/bin/masscan", "/dev/null"))
    service.start()
    answer = service.call("POST", "/api/scans", json={"target": "10.0.0.1", "tool": "masscan", "port": 80})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_capable_node"), answer.text
    assert "apt-get install masscan" in answer.json()["error"]


def test_a_scanner_that_fails_each_time_fails_the_scan_with_its_last_words(
    new_service: NewService, tmp_path: Path
) -> None:
    broken = tmp_path / "broken-nmap"
    broken.write_text(BROKEN_NMAP)
    broken.chmod(0o755)
    service = new_service(prefix=hiding("/usr/bin/nmap", str(broken)))
    service.start()
    scan_id = service.scan(target="127.0.0.1", tool="nmap", ports="80")
    shown = service.wait_for(scan_id, 60)
    assert shown["status"] == "failed"
    assert "QUITTING! no luck" in shown["error"]
    assert (shown["coverage"]["planned"], shown["coverage"]["failed"]) == (1, 1)
    assert outcomes(service, scan_id) == {"failed": 3}


def test_a_full_disk_stops_the_node_and_says_so_until_there_is_room_again(
    new_service: NewService, open_port: int, tmp_path: Path, postgres_database: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={NEEDED_BYTES + (4 << 20)}", "none", str(disk)], check=True)
    try:
        service = new_service("disk", DATABASE_URL=postgres_database)
        service.start()
        scan_id = slow_scan(service, open_port)
        until_half_way(service, scan_id)
        fill(disk)
        until(lambda: _is_out_of_disk(_node(service)), 30, lambda: _node(service))
        refused = service.call("POST", "/api/scans", json={"target": "127.0.0.1", "tool": "nmap"})
        assert refused.status_code == 409 and "full" in refused.json()["error"], refused.text
        until(lambda: service.show(scan_id)["chunks"]["leased"] == 0, 60, lambda: service.show(scan_id))
        assert service.show(scan_id)["status"] == "running"
        (disk / "ballast").unlink()
        assert_complete_and_counted_once(service, scan_id, open_port)
        service.stop()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def _is_out_of_disk(node: dict[str, Any]) -> bool:
    """By one answer: the next may come from a process whose view is a second older."""
    said = [check["output"] for check in node["checks"] if check["status"] == "critical"]
    return node["status"] == "critical" and any("disk" in output for output in said)


def _node(service: Service) -> dict[str, Any]:
    nodes: list[dict[str, Any]] = service.call("GET", "/api/nodes").json()
    return nodes[0]


def fill(disk: Path) -> None:
    """Write until nothing more fits."""
    with open(disk / "ballast", "wb", buffering=0) as ballast, pytest.raises(OSError, match="No space left"):
        while True:
            ballast.write(b"x" * 4096)


def hiding(file: str, by: str) -> list[str]:
    """A command prefix under which `file` is another one: a mount namespace of its own."""
    program = f'mount --bind {by} {file} && exec "$@"'
    return ["unshare", "--mount", "--", "sh", "-c", program, sys.executable]

"""Host names by a real name server: submits, exclusions that move while a scan runs. Needs root and nmap."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cloudx.services.access.names_now import FRESH_SECONDS
from fixtures.servers.name_server import NameServer
from fixtures.servers.service import Service
from rig.waiting import until

TOGETHER = 60  # more than the ten threads that gevent has by default


def test_the_api_asks_for_many_names_side_by_side(
    new_name_server: Callable[..., NameServer], new_service: Callable[..., Service]
) -> None:
    names = {f"h{number}.test": [f"127.0.1.{number}"] for number in range(TOGETHER)}
    service = new_service(prefix=new_name_server(names, together=TOGETHER).prefix)
    service.start()
    scan = service.wait_for(service.scan(targets=list(names), tool="nmap", scan_type="tcp", ports="9"))
    assert scan["coverage"]["planned"] == TOGETHER


def test_a_name_with_both_families_and_a_dead_one_are_told_of_by_the_api_and_the_command_line(
    new_name_server: Callable[..., NameServer], new_service: Callable[..., Service]
) -> None:
    name_server = new_name_server({"dual.test": ["127.0.1.1", "::1"], "twin.test": ["127.0.1.1"]})
    service = new_service(prefix=name_server.prefix)
    service.start()
    refused = service.call("POST", "/api/scans", json={"target": "dual.test gone.test lost.test", "tool": "nmap"})
    assert (refused.status_code, refused.json()["details"]["host_names"]) == (400, ["gone.test", "lost.test"])
    body = {"target": "dual.test gone.test", "tool": "nmap", "ports": service.port, "skip_unresolved": True}
    scan = service.wait_for(service.scan(**body))
    assert [word for word in ("gone.test", "dual.test") if word not in " ".join(scan["warnings"])] == []
    assert scan["coverage"] == scan["coverage"] | {"planned": 1, "completed": 1}
    both = ("scan", "dual.test", "twin.test", "--ports", str(service.port), "--family", "both", "--type", "tcp")
    shown = service.cloudx(*both)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "2 hosts planned" in shown.stdout
    warned = service.cloudx("scan", "dual.test", "gone.test", "--ports", "9", "--skip-unresolved")
    assert "warning: " in warned.stderr and "gone.test" in warned.stderr


def test_no_chunk_claimed_after_a_name_moved_probes_its_new_address(
    new_name_server: Callable[..., NameServer], new_service: Callable[..., Service]
) -> None:
    name_server = new_name_server({"global.test": ["127.0.3.1"], "own.test": ["127.0.3.2"]})
    service = new_service(prefix=name_server.prefix, CLOUDX_CHUNK_SECONDS="1")
    service.start()
    answer = service.call("POST", "/api/exclusions", json={"targets": ["global.test"], "note": "moves"})
    assert answer.status_code == 201, answer.text
    body = {"target": "127.0.2.0/26", "exclude": "own.test", "tool": "nmap", "scan_type": "tcp", "ports": "1-1000"}
    scan_id = service.scan(**body, rate=10_000)
    until(lambda: service.show(scan_id)["chunks"]["leased"], 60, lambda: service.show(scan_id))
    (worker,) = service.named("worker")
    worker.suspend()  # it claims nothing while the name moves
    try:
        waiting = [chunk for chunk in _chunks(service, scan_id) if chunk["state"] == "pending"]
        first, second = (chunk["addresses"][0].partition("-")[0] for chunk in waiting[:2])
        name_server.move({"global.test": [first], "own.test": [second]})
        time.sleep(2 * FRESH_SECONDS)
    finally:
        worker.resume()
    scan = service.wait_for(scan_id, 200)
    assert scan["status"] == "completed", scan
    assert scan["coverage"] == scan["coverage"] | {"planned": 64, "completed": 62, "excluded": 2, "failed": 0}
    assert [chunk["excluded"] for chunk in _chunks(service, scan_id) if chunk["excluded"]] == [1, 1]


def _chunks(service: Service, scan_id: str) -> list[dict[str, Any]]:
    answer = service.call("GET", f"/api/scans/{scan_id}/coverage")
    chunks: list[dict[str, Any]] = answer.json()["chunks"]
    return chunks

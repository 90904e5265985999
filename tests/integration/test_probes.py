"""Every packet that real scanners send is answered for: when, by whom, from where. Needs root, tcpdump, scanners."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fixtures.recording import Recording, recording
from fixtures.servers.network import SCANNER_IP, TARGETS, Network
from fixtures.servers.service import Service, service_inside
from rig.waiting import until

PATIENCE_SECONDS = 120
SAMPLES = 80
# 1795538204.123456 IP 10.78.0.2.61000 > 10.77.3.4.81: Flags [S], …
_PACKET = re.compile(r"(\d+\.\d+) IP (\d+\.\d+\.\d+\.\d+)(?:\.\d+)? > (\d+\.\d+\.\d+\.\d+)(?:\.\d+)?:")
SCANS: dict[str, dict[str, Any]] = {
    "masscan": {"target": "10.77.0.0/20", "ports": "81", "rate": 400},
    "zmap": {"target": "10.77.0.0/20", "ports": "81", "rate": 400},
    "nmap": {"target": "10.77.3.0/25", "ports": "22,80,1000-1017", "rate": 400},
}


@dataclass(frozen=True)
class Packet:
    """One that left the scanner's machine for a target."""

    at: datetime
    source: str
    target: str


@pytest.fixture(scope="module")
def install(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With short chunks, so that one address is long over while others are probed."""
    folder = tmp_path_factory.mktemp("probes") / "install"
    with service_inside(network, folder, CLOUDX_CHUNK_SECONDS="1") as running:
        yield running


def packets_of(sent: Recording) -> list[Packet]:
    matches = (_PACKET.match(line) for line in sent.packets(f"dst net {TARGETS}", "-tt"))
    return [Packet(datetime.fromtimestamp(float(m[1]), UTC), m[2], m[3]) for m in matches if m]


def probes(install: Service, ip: str, at: datetime, window: int = 0) -> list[dict[str, Any]]:
    answer = install.call("GET", "/api/probes", params={"ip": ip, "at": at.isoformat(), "window": window})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["probes"]
    return found


def unanswered(install: Service, packets: list[Packet], scan_id: str) -> list[Packet]:
    """Of packets from the first to the last, those for which no attempt from their source stands at their moment."""
    assert len(packets) > SAMPLES
    some = [*packets[:: len(packets) // SAMPLES], packets[-1]]
    return [
        packet
        for packet in some
        if not any(
            (probe["scan_id"], probe["source_ip"]) == (scan_id, packet.source)
            for probe in probes(install, packet.target, packet.at)
        )
    ]


@pytest.mark.parametrize("tool", SCANS)
def test_each_packet_was_sent_by_an_attempt_that_is_listed_and_at_other_times_none_is(
    install: Service, network: Network, tool: str, tmp_path: Path
) -> None:
    with recording(network.scanner_namespace, "eth0", tmp_path / "sent.pcap") as sent:
        scan_id = install.scan(tool=tool, **SCANS[tool])
        shown = install.wait_for(scan_id, PATIENCE_SECONDS)
    assert shown["status"] == "completed", shown
    packets = packets_of(sent)
    assert {packet.source for packet in packets} == {SCANNER_IP}
    assert unanswered(install, packets, scan_id) == []
    first, last = packets[0], packets[-1]
    (probe,) = probes(install, first.target, first.at)
    assert (probe["tool"], probe["ports"], probe["asked_by"]) == (tool, SCANS[tool]["ports"], "admin")
    assert probe["node_id"] in {node["node_id"] for node in install.call("GET", "/api/nodes").json()}
    assert probe["outcome"] == "done" and probe["scope"]["owner"] == "setup"
    assert probes(install, first.target, last.at) == [], "its attempt was over by then"
    assert probes(install, last.target, first.at) == [], "its attempt had not begun"
    assert probes(install, "10.77.200.1", first.at, 300) == [], "nobody sent there"
    assert "10.77.200.1" not in {packet.target for packet in packets}


@pytest.mark.parametrize("tool", ["masscan", "nmap"])
def test_what_a_killed_worker_and_a_stopped_scan_sent_is_answered_for_too(
    install: Service, network: Network, tool: str, tmp_path: Path
) -> None:
    with recording(network.scanner_namespace, "eth0", tmp_path / "sent.pcap") as sent:
        scan_id = install.scan(tool=tool, **(SCANS[tool] | {"rate": 100}))
        until(lambda: install.show(scan_id)["progress"] > 3, 60, lambda: install.show(scan_id))
        install.kill_everything()
        install.start()
        until(lambda: "lost" in outcomes(install, scan_id), 60, lambda: outcomes(install, scan_id))
        progress = install.show(scan_id)["progress"]
        until(lambda: install.show(scan_id)["progress"] > progress + 3, 60, lambda: install.show(scan_id))
        install.call("POST", f"/api/scans/{scan_id}/stop")
        until(lambda: None not in outcomes(install, scan_id), 60, lambda: outcomes(install, scan_id))
    assert {"lost", "stopped"} <= set(outcomes(install, scan_id))
    packets = packets_of(sent)
    assert unanswered(install, packets, scan_id) == []
    listed = {probe["outcome"] for packet in packets[::20] for probe in probes(install, packet.target, packet.at)}
    assert {"lost", "stopped"} <= listed


def outcomes(install: Service, scan_id: str) -> list[str | None]:
    proof = install.call("GET", f"/api/scans/{scan_id}/coverage").json()
    return [attempt["outcome"] for chunk in proof["chunks"] for attempt in chunk["attempts"]]

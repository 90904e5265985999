"""masscan over a /16 × 2 ports at 20,000 packets/s, submitted to the API, beside masscan alone. Needs root.

Both run in the same pair of network namespaces, in turn. Recall is against the listeners that
are known to be there. Memory is the sum of the proportional set sizes of every process of the install.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from fixtures.servers.network import GATEWAY_IP, SCANNER_IP, TARGETS, Network, built_network
from fixtures.servers.service import Service, service_inside

PORTS = "80,443"
RATE_PPS = 20_000
WAIT_SECONDS = 3  # as the product runs it
ROUNDS = 3
SETTLE_SECONDS = 5.0  # after the last scan, before what stays is measured


def masscan_alone(network: Network, folder: Path) -> tuple[float, set[tuple[str, int]]]:
    """Seconds and what it found, with the options the product gives it."""
    results = folder / "alone.ndjson"
    gateway_mac = mac_of_the_gateway(network)
    argv = ["masscan", TARGETS, "--ports", PORTS, "--rate", str(RATE_PPS), "--wait", str(WAIT_SECONDS)]
    argv += ["--interface", "eth0", "--source-ip", SCANNER_IP, "--source-port", "61000", "-oD", str(results)]
    argv += ["--router-mac", gateway_mac.replace(":", "-"), "--noreset"]
    started = time.monotonic()
    # Its receiver sleeps for ever on a quiet interface: a datagram ten times a second lets it end on time.
    run = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while run.poll() is None:
        datagram_to_the_gateway()
        time.sleep(0.1)
    assert run.returncode == 0, f"masscan alone ended with {run.returncode}"
    seconds = time.monotonic() - started
    rows = (json.loads(line) for line in results.read_text().splitlines() if '"rec_type":"status"' in line)
    return seconds, {(row["ip"], row["port"]) for row in rows}


def datagram_to_the_gateway() -> None:
    """An empty one, to the discard port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"", (GATEWAY_IP, 9))


def mac_of_the_gateway(network: Network) -> str:
    """From the neighbour table, once the kernel has asked for it."""
    for _ in range(50):
        datagram_to_the_gateway()
        neighbours = json.loads(network.run("ip", "-j", "neigh", "show", GATEWAY_IP).stdout)
        if neighbours and "lladdr" in neighbours[0]:
            return str(neighbours[0]["lladdr"])
        time.sleep(0.1)
    raise SystemExit("error: the gateway of the target network does not answer")


class MemoryWatch(threading.Thread):
    """The highest sum of proportional set sizes seen, in bytes; scanners included."""

    def __init__(self, service: Service) -> None:
        super().__init__(daemon=True)
        self._service = service
        self._over = threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        """Look twice a second."""
        while not self._over.wait(0.5):
            self.peak_bytes = max(self.peak_bytes, self.now())

    def now(self) -> int:
        """All processes together."""
        total = 0
        for process in self._service.processes():
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total

    def stop(self) -> int:
        """End, and the peak."""
        self._over.set()
        self.join()
        return self.peak_bytes


def through_the_api(service: Service) -> tuple[float, set[tuple[str, int]]]:
    """Seconds from the request to `completed`, and what the API says was found."""
    started = time.monotonic()
    scan_id = service.scan(target=TARGETS, tool="masscan", ports=PORTS, rate=RATE_PPS)
    while (shown := service.show(scan_id))["status"] in ("submitted", "running"):
        time.sleep(0.1)
    seconds = time.monotonic() - started
    assert shown["status"] == "completed", shown
    answer = service.call("GET", f"/api/scans/{scan_id}/results?format=ndjson", stream=True)
    found = [(row["ip"], row["port"]) for row in map(json.loads, answer.iter_lines())]
    assert len(found) == len(set(found)), "a finding was counted twice"
    return seconds, set(found)


def main() -> None:
    """Both in turn, ROUNDS times; medians."""
    with (
        tempfile.TemporaryDirectory() as folder,
        built_network() as network,
        service_inside(network, Path(folder) / "data") as service,
    ):
        measure(network, service, Path(folder))


def measure(network: Network, service: Service, folder: Path) -> None:
    """Print the figures."""
    known = network.expected(TARGETS, [int(port) for port in PORTS.split(",")])
    alone, ours, recall_alone, recall_ours = [], [], [], []
    memory = MemoryWatch(service)
    memory.start()
    for _ in range(ROUNDS):
        seconds, found = masscan_alone(network, folder)
        alone.append(seconds)
        recall_alone.append(len(found & known) / len(known))
        seconds, found = through_the_api(service)
        ours.append(seconds)
        recall_ours.append(len(found & known) / len(known))
    peak_megabytes = memory.stop() / 1e6
    ratio = statistics.median(ours) / statistics.median(alone)
    say("masscan_time", statistics.median(ours), "s", "≤ 1.05 × alone", statistics.median(alone), ratio)
    recall, other = min(recall_ours), min(recall_alone)
    say("masscan_recall", recall, "share of the listeners", "≥ 0.999 and ≥ alone", other, recall / other)
    say("masscan_memory", peak_megabytes, "MB, all processes", "< 300", None, None)
    time.sleep(SETTLE_SECONDS)
    say("masscan_memory_after", memory.now() / 1e6, "MB, all processes", "≤ 200", None, None)


def say(name: str, value: float, unit: str, goal: str, alone: float | None, ratio: float | None) -> None:
    """One JSON line."""
    line = {"name": name, "value": round(value, 4), "unit": unit, "goal": goal}
    if alone is not None and ratio is not None:
        line |= {"compared_with": "masscan alone", "alone": round(alone, 4), "ratio": round(ratio, 3)}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

"""nmap submitted to the API without a rate, beside nmap alone with the same options. Needs root.

Three hosts × 30,000 ports on loopback, and a /24 × nmap's usual 1,000 ports in the target network; both in turn, ROUNDS
times. The options of nmap alone are those that the product gives it, without its rate; neither looks up host names.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cloudx.domain.port_set import PortSet
from cloudx.domain.targets import parse_targets
from cloudx.domain.tools import scan_type_named
from cloudx.scanners.nmap.options import options
from cloudx.services.chunks.scanner_port import Assignment
from fixtures.servers.network import built_network
from fixtures.servers.service import Service, service_inside

ROUNDS = 5
GOAL = 1.15
UNUSED_PPS = 10_000_000


def options_alone(target: str, ports: str | None) -> list[str]:
    """As the product has them for the whole scan, without the rate of its grant."""
    addresses, port_set = parse_targets(target).addresses, PortSet.parse(ports) if ports else None
    whole = Assignment(scan_type_named("nmap", None), addresses, port_set, UNUSED_PPS, raw_sockets=True, egress=None)
    argv = options(whole)
    place = argv.index("--max-rate")
    return argv[:place] + argv[place + 2 :]


def alone(argv: list[str], target: str, folder: Path) -> float:
    """Seconds of nmap by itself."""
    targets = folder / "targets"
    targets.write_text("\n".join(str(network) for network in parse_targets(target).addresses.networks()))
    command = ["nmap", *argv, "-oX", str(folder / "alone.xml"), "-iL", str(targets)]
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return time.monotonic() - started


def through_the_api(service: Service, target: str, ports: str | None) -> float:
    """Seconds from the request to `completed`."""
    started = time.monotonic()
    scan_id = service.scan(target=target, tool="nmap", resolve=False, **({"ports": ports} if ports else {}))
    while (shown := service.show(scan_id))["status"] in ("submitted", "running"):
        time.sleep(0.05)
    seconds = time.monotonic() - started
    assert shown["status"] == "completed", shown
    coverage = shown["coverage"]
    assert coverage["completed"] == coverage["planned"], coverage
    return seconds


def measure(name: str, target: str, ports: str | None, service: Service, folder: Path) -> None:
    """One JSON line."""
    argv = options_alone(target, ports)
    turns: list[Callable[[], float]] = [
        lambda: alone(argv, target, folder),
        lambda: through_the_api(service, target, ports),
    ]
    seconds: list[list[float]] = [[], []]
    for turn, number in itertools.product(range(ROUNDS), (0, 1)):
        which = (turn + number) % 2  # neither is always the first
        seconds[which].append(turns[which]())
    theirs, ours = (statistics.median(times) for times in seconds)
    line = {
        "name": name, "value": round(ours, 2), "unit": "s", "goal": f"≤ {GOAL} × alone",
        "compared_with": "nmap alone", "alone": round(theirs, 2), "ratio": round(ours / theirs, 3),
    }  # fmt: skip
    print(json.dumps(line), flush=True)


def main() -> None:
    """Both inside the scanner's namespace: its loopback, and the targets behind its gateway."""
    with (
        tempfile.TemporaryDirectory() as folder,
        built_network() as network,
        service_inside(network, Path(folder) / "data") as service,
    ):
        measure("nmap_defaults_loopback", "127.0.0.1-127.0.0.3", "1-30000", service, Path(folder))
        measure("nmap_defaults_network", "10.77.5.0/24", None, service, Path(folder))


if __name__ == "__main__":
    main()

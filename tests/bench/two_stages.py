"""Two stages over a /16 with 1 % of its hosts there, each with 20 open ports, beside nmap -sV and RustScan. Needs root.

All in one pair of network namespaces, in turn: the 655 hosts serve 20 ports with an SSH banner, every other address is
silent. `--rustscan PROGRAM` names RustScan 2.4.1 (`cargo install rustscan --version 2.4.1`); without it that line is
left out. What takes hours alone is measured over `--sample` and scaled by its addresses, which the line says. What each
finds are the ports that are open and known to be ssh; of a sample it is compared with that part. `--vpses 1 4`
measures the same scan on so many VPSes of the rig instead.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

from bench.ssh_hosts import PORTS, hosts_of, listening
from fixtures.servers.network import Network, built_network
from fixtures.servers.service import Service, service_inside
from rig.layout import TARGET
from rig.resident import ResidentRig

RATE_PPS = 50_000
FLEET_NODE_PPS, FLEET_LIMIT_PPS = 4_000, 24_000  # what one VPS takes of masscan's rate, and room for nmap beside it
PORT_TEXT = ",".join(map(str, PORTS))
THEN = {"tool": "nmap", "scan_type": "intense"}
Found = set[tuple[str, int]]


def two_stages(service: Service, network: str) -> tuple[float, Found]:
    """Seconds from the request to `completed`, and what it found."""
    body = {"target": network, "tool": "masscan", "ports": PORT_TEXT, "rate": RATE_PPS, "then": THEN}
    started = time.monotonic()
    shown = service.wait_for(service.scan(**body), 3600)
    seconds = time.monotonic() - started
    assert shown["status"] == "completed", shown
    assert all(stage["planned"] == stage["completed"] for stage in shown["coverage"]["stages"]), shown["coverage"]
    answer = service.call("GET", f"/api/scans/{shown['job_id']}/results?format=ndjson")
    rows = map(json.loads, answer.text.splitlines())
    return seconds, {(row["ip"], row["port"]) for row in rows if (row["state"], row["service"]) == ("open", "ssh")}


def nmap_alone(network: Network, sample: str, folder: Path) -> tuple[float, Found]:
    """nmap -sV over the same ports, as a person would run it."""
    started = time.monotonic()
    file = folder / "nmap.xml"
    network.run("nmap", "-n", "-sV", "-T4", "-p", PORT_TEXT, "-oX", str(file), sample, timeout=7200)
    return time.monotonic() - started, found_in(file)


def rustscan(network: Network, program: str, sample: str, folder: Path) -> tuple[float, Found]:
    """RustScan at its defaults, which gives the open ports of each host to an nmap -sV."""
    started = time.monotonic()
    argv = [program, "-a", sample, "-p", PORT_TEXT, "--ulimit", "10000", "--scripts", "default", "--"]
    network.run(*argv, "-sV", "-T4", "-oX", str(folder / "{{ip}}.xml"), timeout=7200)
    seconds = time.monotonic() - started
    return seconds, set().union(*map(found_in, folder.glob("*.xml")))


def found_in(file: Path) -> Found:
    """The open ssh ports of nmap's own XML."""
    found = set()
    for host in ET.parse(file).getroot().iter("host"):
        address = host.find("address")
        for port in host.iter("port"):
            state, service = port.find("state"), port.find("service")
            names = [None if one is None else one.get(name) for one, name in ((state, "state"), (service, "name"))]
            if address is not None and names == ["open", "ssh"]:
                found.add((address.get("addr", ""), int(port.get("portid", "0"))))
    return found


def beside_others(network_text: str, sample: str, program: str | None) -> None:
    """Each in turn, one line each."""
    scale = ipaddress.ip_network(network_text).num_addresses / ipaddress.ip_network(sample).num_addresses
    note = f"measured over {sample}, times {scale:.0f}" if scale > 1 else "measured whole"
    with built_network() as network, listening(network.target_namespace, network_text):
        with tempfile.TemporaryDirectory() as folder, service_inside(network, Path(folder) / "install") as service:
            seconds, found = two_stages(service, network_text)
        assert found == {(str(host), port) for host in hosts_of(network_text) for port in PORTS}, len(found)
        say("two_stages", seconds, "s", None)
        part = {(ip, port) for ip, port in found if ipaddress.ip_address(ip) in ipaddress.ip_network(sample)}
        with tempfile.TemporaryDirectory() as folder:
            alone, theirs = nmap_alone(network, sample, Path(folder))
        say("two_stages_nmap_alone", alone * scale, f"s, {note}", None)
        say("two_stages_beside_nmap", alone * scale / seconds, f"× ({note}; same findings: {theirs == part})", "≥ 20")
        if program is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            alone, theirs = rustscan(network, program, sample, Path(folder))
        say("two_stages_rustscan", alone * scale, f"s, {note}", None)
        say("two_stages_beside_rustscan", alone * scale / seconds, f"× ({note}; same: {theirs == part})", "≥ 1.3")


@contextmanager
def fleet_of(vpses: int) -> Iterator[ResidentRig]:
    """A fleet whose masscans share a rate that grows with it."""
    rig = ResidentRig(vpses, {"CLOUDX_NODE_RATE_LIMIT_PPS": str(FLEET_LIMIT_PPS)})
    rig.start(wait_for_the_machine=True)
    try:
        yield rig
    finally:
        rig.stop()


def on_fleets(network_text: str, sizes: list[int]) -> None:
    """The same scan on each size, and how much faster than on the first."""
    first = 0.0
    for vpses in sizes:
        with fleet_of(vpses) as rig, listening(TARGET, network_text):
            body = {"target": network_text, "tool": "masscan", "ports": PORT_TEXT, "then": THEN}
            started = time.monotonic()
            shown = rig.api.wait_for(rig.api.scan(**body, rate=FLEET_NODE_PPS * vpses), 3600)
            seconds = time.monotonic() - started
        assert shown["status"] == "completed", shown
        assert shown["coverage"]["stages"][1]["completed"] == len(hosts_of(network_text)) * len(PORTS), shown
        first = first or seconds
        say(f"two_stages_{vpses}_vpses", seconds, "s from request to completed", None)
        say(f"two_stages_{vpses}_speedup", first / seconds, f"× {sizes[0]} VPS", "≥ 3.8 at 4" if vpses == 4 else None)


def say(name: str, value: float, unit: str, goal: str | None) -> None:
    """One JSON line."""
    print(
        json.dumps({"name": name, "value": round(value, 2), "unit": unit} | ({"goal": goal} if goal else {})),
        flush=True,
    )


def main() -> None:
    """On one machine beside others, or on fleets."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--network", default="10.77.0.0/16", help="within 10.77.0.0/16")
    options.add_argument("--sample", default="10.77.0.0/20", help="for nmap alone and RustScan")
    options.add_argument("--rustscan", metavar="PROGRAM")
    options.add_argument("--vpses", type=int, nargs="+")
    chosen = options.parse_args()
    if chosen.vpses:
        on_fleets(chosen.network, chosen.vpses)
    else:
        beside_others(chosen.network, chosen.sample, chosen.rustscan)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stderr}")

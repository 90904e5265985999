"""Host names of what was found, asked of a real name server by the worker. Needs root, dnsmasq and the scanners."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.servers.network import Network
from fixtures.servers.reverse_names import HOSTILE, name_of
from fixtures.servers.service import Service

NETS = "10.77.1.0/30"
ADDRESSES = [f"10.77.1.{number}" for number in range(4)]
FRONTENDS: list[dict[str, Any]] = [  # as the frontend that exists submits: these four fields and no other
    {"tool": "nmap", "scan_type": "tcp", "port": "80"},
    {"tool": "masscan", "scan_type": "tcp_scan", "port": "80"},
    {"tool": "zmap", "scan_type": "tcp_syn", "port": 80},
]


@pytest.fixture(scope="module")
def service(name_server: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The product on a machine that resolves by the name server."""
    running = Service(tmp_path_factory.mktemp("names") / "data", prefix=name_server.prefix)
    with name_server.inside():
        running.start()
    yield running
    running.stop()


def finished(service: Service, network: Network, **body: Any) -> dict[str, Any]:
    """The scan once it is over."""
    with network.inside():
        return service.wait_for(service.scan(**body))


def findings(service: Service, network: Network, scan_id: str) -> dict[str, str | None]:
    """Each found address and its name."""
    with network.inside():
        items = service.call("GET", f"/api/scans/{scan_id}/results?limit=5000").json()["items"]
    return {item["ip"]: item["hostname"] for item in items}


def shown_names(scan: dict[str, Any]) -> dict[str, str | None]:
    """Each host of the scan's own results and its name, as the frontend reads them."""
    results = scan["results"]
    if "nmaprun" in results:
        hosts = results["nmaprun"]["host"]
        return {host["address"]["addr"]: host["hostnames"].get("hostname", {}).get("name") for host in hosts}
    return {host["host"]: host.get("hostname") for host in results["hosts"]}


@pytest.mark.parametrize("body", FRONTENDS, ids=["nmap", "masscan", "zmap"])
def test_the_frontends_scan_of_a_cidr_shows_names_in_results_and_findings(
    service: Service, network: Network, body: dict[str, Any]
) -> None:
    scan = finished(service, network, target=NETS, **body)
    wanted = {ip: name_of(ip) for ip in ADDRESSES}
    assert scan["status"] == "completed" and scan["resolve"] is True
    assert shown_names(scan) == findings(service, network, scan["job_id"]) == wanted


@pytest.mark.parametrize(
    "more", [{"rate": 1000}, {"resolve": False}, {"name": "a program's"}], ids=["rate", "resolve", "name"]
)
def test_a_programs_scan_asks_nobody_unless_told(service: Service, network: Network, more: dict[str, Any]) -> None:
    scan = finished(service, network, target=NETS, tool="masscan", scan_type="tcp_scan", port="80", **more)
    assert scan["resolve"] is False
    assert findings(service, network, scan["job_id"]) == dict.fromkeys(ADDRESSES)


def test_a_programs_scan_may_ask_for_names(service: Service, network: Network) -> None:
    scan = finished(service, network, targets=[NETS], tool="masscan", port="80", rate=1000, resolve=True)
    assert findings(service, network, scan["job_id"]) == {ip: name_of(ip) for ip in ADDRESSES}


def test_the_command_line_asks_for_names_where_it_is_told(service: Service, network: Network) -> None:
    for options, wanted in (([], None), (["--resolve"], name_of("10.77.1.1"))):
        done = service.cloudx("scan", "10.77.1.1", "--tool", "zmap", "--ports", "80", "--json", *options)
        assert done.returncode == 0, done.stderr
        scan_id = json.loads(done.stdout)["job_id"]
        assert findings(service, network, scan_id) == {"10.77.1.1": wanted}


def test_an_address_without_a_name_has_none(service: Service, network: Network) -> None:
    scan = finished(service, network, target="10.77.16.0/31", tool="masscan", scan_type="tcp_scan", port="80")
    assert shown_names(scan) == {"10.77.16.0": None, "10.77.16.1": None}


def test_a_name_that_no_host_may_have_is_not_shown(service: Service, network: Network) -> None:
    scan = finished(service, network, target=" ".join(HOSTILE), tool="masscan", scan_type="tcp_scan", port="80")
    assert shown_names(scan) == dict.fromkeys(HOSTILE)


def test_a_name_server_that_is_silent_costs_the_names_alone(service: Service, network: Network) -> None:
    target = "10.77.32.0/28 10.77.2.0/28"
    scan = finished(service, network, target=target, tool="masscan", scan_type="tcp_scan", port="80")
    names = findings(service, network, scan["job_id"])
    assert scan["status"] == "completed" and scan["coverage"]["failed"] == 0 and len(names) == 32
    answered = [f"10.77.2.{number}" for number in range(16)]
    assert {ip: name for ip, name in names.items() if name} == {ip: name_of(ip) for ip in answered}


def test_a_lookup_of_more_addresses_than_it_asks_at_once_gets_them_all(network: Network, name_server: Network) -> None:
    source = (
        "from cloudx.adapters.machine.reverse_names import MAX_AT_ONCE, SystemNameLookup\n"
        "ips = [f'10.77.{net}.{n}' for net in (3, 4) for n in range(256)]\n"
        "assert len(ips) > 4 * MAX_AT_ONCE\n"
        "names = SystemNameLookup().names_of(ips)\n"
        "assert len(names) == len(ips), len(names)\n"
        "assert names['10.77.4.9'] == 'h-10-77-4-9.hosts.example', names['10.77.4.9']\n"
    )
    assert network.run(sys.executable, "-c", source).stderr == ""


def test_a_silence_is_waited_for_in_vain_once_and_answers_are_heard_after_it(
    network: Network, name_server: Network
) -> None:
    source = (
        "from cloudx.adapters.machine.reverse_names import SystemNameLookup\n"
        "lookup = SystemNameLookup()\n"
        "assert lookup.names_of(['10.77.32.1', '10.77.32.2']) == {}\n"
        "assert lookup.names_of(['10.77.32.3']) == {}\n"
        "names = lookup.names_of(['10.77.2.1'])\n"
        "assert names == {'10.77.2.1': 'h-10-77-2-1.hosts.example'}, names\n"
    )
    assert network.run(sys.executable, "-c", source).stderr == ""

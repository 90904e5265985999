"""Results as nmap's XML, as the tools of the trade take them. Needs nmap, ndiff and xsltproc, and at first PyPI.

What reads it from PyPI is skipped only where it cannot be had.
"""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cloudx.domain.findings import AnyFinding, Finding, HostFinding
from fixtures.nmap_readers import READERS, OpenPorts, as_page, by_element_tree, dtd_errors, ndiff, readers_python
from fixtures.servers.api import ApiUnderTest
from fixtures.servers.service import Service, free_port

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BANNER = "<script>alert(1)</script>&evil; ]]><host> \x1b[31m \x01 \ufffe \"'\r\n\t漢"
GREETER = r"""
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    client, _ = server.accept()
    try:
        client.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
        client.recv(99)
    except OSError:
        pass
    client.close()
"""


@dataclass(frozen=True)
class Case:
    """A scan and what it found."""

    request: dict[str, Any]
    findings: Sequence[AnyFinding]

    @property
    def open(self) -> OpenPorts:
        ports = (one for one in self.findings if isinstance(one, Finding) and one.protocol != "icmp")
        return {(one.ip, one.protocol, one.port) for one in ports if one.state == "open"}


def port(ip: str, number: int, protocol: str = "tcp", state: str = "open", **more: Any) -> Finding:
    return Finding(ip, protocol, number, state, AT, **more)


SERVICE = {
    "reason": "syn-ack", "product": BANNER, "version": "1.2", "extrainfo": "x", "tunnel": "ssl", "ostype": "Linux",
    "conf": "10", "cpe": ["cpe:/a:igor_sysoev:nginx:1.2"], "scripts": {"http-title": BANNER},
}  # fmt: skip
OF_HOST = {
    "reason": "arp-response", "mac": "02:FC:00:00:00:05", "vendor": BANNER, "os_accuracy": "96",
    "scripts": {"nbstat": BANNER},
}  # fmt: skip
CASES = {
    "masscan": Case(
        {"tool": "masscan", "target": "10.0.0.0/24", "port": "80,443"},
        [
            port(f"10.0.0.{n}", number, extra={"reason": "syn-ack", "ttl": 60})
            for n in (1, 9, 10)
            for number in (80, 443)
        ],
    ),
    "masscan udp": Case(
        {"tool": "masscan", "scan_type": "udp_scan", "target": "10.0.0.0/28", "port": "53"},
        [port("10.0.0.2", 53, "udp", extra={"ttl": 60})],
    ),
    "zmap": Case({"tool": "zmap", "target": "10.0.0.0/28", "port": 22}, [port("10.0.0.7", 22, extra={"ttl": 3})]),
    "zmap ping": Case(
        {"tool": "zmap", "scan_type": "icmp_echo", "target": "10.0.0.0/28", "port": None},
        [port("10.0.0.3", 0, "icmp", "up", extra={"ttl": 64})],
    ),
    "nmap": Case(
        {"tool": "nmap", "scan_type": "intense", "target": "10.0.0.0/28,fd00::1", "port": "T:22,80,U:53,54"},
        [
            HostFinding("10.0.0.2", "up", AT, BANNER, BANNER, OF_HOST),
            port("10.0.0.2", 22, service="ssh"),
            port("10.0.0.2", 80, service=BANNER, hostname=BANNER, extra=SERVICE),
            port("10.0.0.2", 53, "udp", service="domain", extra={"reason": "udp-response"}),
            port("10.0.0.2", 54, "udp", "open|filtered"),
            HostFinding("10.0.0.3", "unknown", AT, extra={"reason": "user-set"}),
            HostFinding("fd00::1", "up", AT, "six.test"),
            port("fd00::1", 80, service="http", hostname="six.test"),
        ],
    ),
    "nothing found": Case({"tool": "masscan", "target": "10.0.0.0/30", "port": "80"}, []),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def exported(api: ApiUnderTest, case: Case, tmp_path: Path) -> Path:
    """The file that somebody downloads."""
    api.register()
    scan_id = api.submit(**case.request)
    api.complete(scan_id, case.findings)
    answer = api.get(f"/api/scans/{scan_id}/results?format=xml")
    assert answer.status_code == 200 and answer.content_type == "application/xml"
    file = tmp_path / "scan.xml"
    file.write_bytes(answer.data)
    return file


def test_it_is_valid_by_nmaps_own_dtd(exported: Path) -> None:
    assert dtd_errors(exported.read_bytes()) == []


def test_a_document_that_is_not_nmaps_would_be_refused(exported: Path) -> None:
    assert dtd_errors(exported.read_bytes().replace(b"<runstats>", b"<odd/><runstats>"))


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_finds_what_is_open(exported: Path, case: Case, reader: str) -> None:
    if reader != "ElementTree":
        try:
            readers_python()
        except subprocess.CalledProcessError as missing:
            pytest.skip(f"{reader} cannot be had here: {missing.stderr[-300:]}")
    assert READERS[reader](exported) == case.open


def test_nmaps_stylesheet_makes_a_page_with_every_open_port_and_no_markup_of_a_banner(
    exported: Path, case: Case
) -> None:
    page = as_page(exported)
    assert "<script>alert(1)" not in page
    for address, _, number in case.open:
        assert address in page and f"<td>{number}</td>" in page


def test_ndiff_finds_no_difference_to_itself_and_every_host_new_beside_an_empty_scan(
    exported: Path, case: Case, tmp_path: Path
) -> None:
    assert ndiff(exported, exported).findall("scandiff/hostdiff") == []
    empty = tmp_path / "empty.xml"
    root = ElementTree.parse(exported)
    for host in root.getroot().findall("host"):
        root.getroot().remove(host)
    root.write(empty)
    new = ndiff(empty, exported)
    found = {
        (address.get("addr"), each.get("protocol"), int(each.get("portid", 0)))
        for host in new.iterfind("scandiff/hostdiff/b/host")
        for address in host.findall("address")[:1]
        for each in host.iterfind("ports/port")
        if each.find("state[@state='open']") is not None
    }
    assert found == case.open


@pytest.fixture
def listeners() -> Iterator[list[int]]:
    """Two open ports of loopback that greet as SSH does."""
    processes = [subprocess.Popen(["python3", "-c", GREETER], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    yield [int(process.stdout.readline()) for process in processes if process.stdout is not None]
    for process in processes:
        process.kill()
        process.communicate()


def saved(service: Service, file: Path, scan_type: str, ports: str) -> Path:
    """A scan of loopback by the whole product, downloaded by the command line."""
    # Without names: ndiff takes a host that has got one for another host.
    scan_id = service.scan(target="127.0.0.1", tool="nmap", scan_type=scan_type, port=ports, resolve=False)
    assert service.wait_for(scan_id)["status"] == "completed"
    done = service.cloudx("results", scan_id, "--format", "xml", "-o", str(file))
    assert done.returncode == 0, done.stderr
    assert dtd_errors(file.read_bytes()) == []
    return file


def by_nmap(file: Path, ports: str, *options: str) -> Path:
    """The same of nmap itself."""
    subprocess.run(["nmap", "-n", *options, "-p", ports, "-oX", file, "127.0.0.1"], check=True, capture_output=True)
    return file


def test_ndiff_finds_no_other_open_port_than_nmap_itself_and_would_find_one(
    service: Service, listeners: list[int], tmp_path: Path
) -> None:
    ports = ",".join(map(str, (*listeners, free_port())))
    own, ours = by_nmap(tmp_path / "own.xml", ports), saved(service, tmp_path / "ours.xml", "default", ports)
    assert by_element_tree(ours) == by_element_tree(own) == {("127.0.0.1", "tcp", number) for number in listeners}
    assert _opened_or_gone(ndiff(own, ours)) == set()
    fewer = by_nmap(tmp_path / "fewer.xml", str(listeners[0]))
    assert _opened_or_gone(ndiff(fewer, ours)) == {listeners[1]}


def test_services_read_as_nmap_itself_tells_of_them(service: Service, listeners: list[int], tmp_path: Path) -> None:
    ports = str(listeners[0])
    own, ours = by_nmap(tmp_path / "own.xml", ports, "-sV"), saved(service, tmp_path / "ours.xml", "intense", ports)
    assert _services(ours) == _services(own)
    assert _services(ours)[listeners[0]]["product"] == "OpenSSH"


def _opened_or_gone(changed: ElementTree.Element) -> set[int]:
    """The ports that ndiff names as open on one side; those that are open on both it does not name."""
    return {
        int(each.get("portid", 0))
        for each in changed.iterfind(".//hostdiff//port")
        if each.find(".//state[@state='open']") is not None
    }


def _services(file: Path) -> dict[int, dict[str, str]]:
    """What each open port's service is called, and how sure that is."""
    told = {"name", "product", "version", "extrainfo", "ostype", "method", "conf"}
    return {
        int(each.get("portid", 0)): {key: value for key, value in service.attrib.items() if key in told}
        for each in ElementTree.parse(file).getroot().iter("port")
        if each.find("state[@state='open']") is not None
        for service in each.findall("service")
    }

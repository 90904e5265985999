"""The report of a scan, and nmap's XML of it: each address once, whole and in order, on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudx.api.nmap_xml.document import nmap_xml_of
from cloudx.domain.addresses import AddressSet
from cloudx.domain.coverage import Unprobed
from cloudx.domain.errors import NotFound
from cloudx.domain.findings import AnyFinding, Finding, HostFinding
from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan
from cloudx.services.chunks.finish import RunOutput, complete_chunk
from cloudx.services.scans import report, results
from cloudx.services.scans.control import stop_scan
from cloudx.services.scans.report import read_report
from fixtures.ledgers import ADMIN, SEEN_AT, Desk, found
from fixtures.nmap_readers import dtd_errors

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


def exported(desk: Desk, scan: Scan) -> ElementTree.Element:
    """The document, which nmap's DTD takes."""
    document = b"".join(nmap_xml_of(read_report(desk.open_ledger, scan.id)))
    assert dtd_errors(document) == []
    return ElementTree.fromstring(document)


def run(desk: Desk, scan: Scan, observed: Iterable[AnyFinding]) -> int:
    """Complete every chunk with what lies in it; how many chunks."""
    left, chunks = list(observed), 0
    while claim := desk.claim(only_scan=scan.id):
        inside = {str(address) for address in claim.addresses}
        mine = [one for one in left if one.ip in inside and _has_port(claim.ports, one)]
        desk.complete(claim, *mine)
        chunks += 1
    return chunks


def _has_port(ports: PortSet | None, one: AnyFinding) -> bool:
    if ports is None or isinstance(one, HostFinding):
        return True
    ranges = ports.udp_ranges if one.protocol == "udp" else ports.ranges
    return any(first <= one.port <= last for first, last in ranges)


def addresses(root: ElementTree.Element) -> list[str | None]:
    return [address.get("addr") for address in root.iterfind("host/address[1]")]


def ports_of(host: ElementTree.Element) -> list[tuple[str, int]]:
    return [(port.get("protocol", ""), int(port.get("portid", 0))) for port in host.iterfind("ports/port")]


@pytest.fixture(params=[2, 2_000], ids=["read by twos", "read at once"])
def pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that are longer than what is held of them, and pages that end anywhere."""
    monkeypatch.setattr(results, "STREAM_PAGE", request.param)
    monkeypatch.setattr(report, "HELD_ROWS", request.param)


def test_hosts_and_findings_are_one_host_each_in_the_order_of_addresses(desk: Desk, pages: None) -> None:
    scan = desk.submit("10.0.0.0/28 fd00::1 fd00::2", tool="nmap", ports="T:1-9,U:53")
    observed: list[AnyFinding] = [
        HostFinding("10.0.0.9", "up", SEEN_AT),
        HostFinding("10.0.0.10", "unknown", SEEN_AT),
        HostFinding("fd00::1", "up", SEEN_AT),
        *(found("10.0.0.9", port) for port in (9, 1, 5)),
        found("10.0.0.9", 53, "udp", state="open|filtered"),
        found("10.0.0.11", 7),
        *(found("fd00::2", port) for port in range(1, 10)),
    ]
    random.Random(1).shuffle(observed)
    run(desk, scan, observed)
    root = exported(desk, scan)
    assert addresses(root) == ["10.0.0.9", "10.0.0.10", "10.0.0.11", "fd00::1", "fd00::2"]
    nine, _, eleven, _, last = root.iterfind("host")
    assert ports_of(nine) == [("tcp", 1), ("tcp", 5), ("tcp", 9), ("udp", 53)]
    assert ports_of(eleven) == [("tcp", 7)]
    assert ports_of(last) == [("tcp", port) for port in range(1, 10)]
    counts = [extra.get("count") for extra in root.iter("extraports")]
    assert counts == ["6", "10", "9", "10", "1"]
    assert root.find("runstats/hosts").attrib == {"up": "4", "down": "13", "total": "18"}  # type: ignore[union-attr]


def test_a_host_whose_ports_were_cut_into_chunks_is_one_host(desk: Desk, pages: None) -> None:
    scan = desk.submit("10.0.0.1 10.0.0.2", ports="1-2000", rate_pps=1)
    observed = [found(ip, port) for ip in ("10.0.0.1", "10.0.0.2") for port in range(1, 2001, 97)]
    assert run(desk, scan, observed) > 2
    root = exported(desk, scan)
    assert addresses(root) == ["10.0.0.1", "10.0.0.2"]
    assert [ports_of(host) for host in root.iterfind("host")] == [[("tcp", port) for port in range(1, 2001, 97)]] * 2
    assert root.find("runstats/hosts").attrib == {"up": "2", "down": "0", "total": "2"}  # type: ignore[union-attr]


def test_a_host_was_last_heard_when_its_last_port_was(desk: Desk, pages: None) -> None:
    scan = desk.submit("10.0.0.0/30", ports="1-9")
    late = SEEN_AT + timedelta(minutes=5)
    times = {1: SEEN_AT, 2: SEEN_AT, 3: late, 4: SEEN_AT}
    run(desk, scan, [found("10.0.0.1", port, observed_at=at) for port, at in times.items()])
    [host] = exported(desk, scan).iterfind("host")
    assert host.get("endtime") == str(int(late.timestamp()))


def test_of_a_scan_that_was_not_done_to_the_end_no_port_is_said_not_to_be_open(desk: Desk) -> None:
    whole, part, cut = (
        desk.submit(f"10.0.{n}.0/24", ports="1-9", rate_pps=rate) for n, rate in enumerate((10**7, 10**7, 1))
    )
    run(desk, whole, [found("10.0.0.1", 5)])
    claim = desk.must_claim(only_scan=part.id)
    complete_chunk(
        desk.open_ledger, claim, RunOutput([found("10.0.1.1", 5)], Unprobed(AddressSet.of_texts(["10.0.1.2"]), "x"))
    )
    claim = desk.must_claim(only_scan=cut.id)
    desk.complete(claim, *(found(str(address), 5) for address in list(claim.addresses)[:1]))
    running = exported(desk, cut)
    stop_scan(desk.open_ledger, cut.id, ADMIN)
    assert exported(desk, whole).find(".//extraports") is not None
    for root in (exported(desk, part), running, exported(desk, cut)):
        assert len(root.findall("host")) == 1 and root.find(".//extraports") is None
        assert "not probed" in root.find("runstats/finished").get("summary", "")  # type: ignore[union-attr]


def test_neighbours_of_a_tar_pits_verdict_have_no_ports_that_are_said_not_to_be_open(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/28", tool="nmap", ports="1-200")
    verdict = {"prefix": "10.0.0.4/30", "probed_ports": "1-200"}
    tarpits = [HostFinding(f"10.0.0.{n}", "up", SEEN_AT) for n in (4, 5, 6, 7, 8)]
    pit = Finding("10.0.0.4", "tcp", 1, "answers_all", SEEN_AT, extra=verdict)
    run(desk, scan, [*tarpits, pit, found("10.0.0.8", 80)])
    hosts = list(exported(desk, scan).iterfind("host"))
    assert [host.find("ports/extraports") is None for host in hosts] == [True] * 4 + [False]
    assert [host.get("comment") is None for host in hosts] == [False] + [True] * 4
    assert [ports_of(host) for host in hosts] == [[]] * 4 + [[("tcp", 80)]]


@given(
    text=st.text(CHARACTERS, max_size=60), extra=st.dictionaries(st.text(CHARACTERS, max_size=9), st.text(CHARACTERS))
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_that_was_stored_makes_a_valid_document(desk: Desk, text: str, extra: dict[str, str]) -> None:
    desk.register("node-1")
    scan = desk.submit("10.0.0.0/30", tool="nmap", ports="80", name=text[:20] or None)
    named = {"product": text, "scripts": {text: text}, "cpe": [text], "hostnames": [text, "b"], "reason": text, **extra}
    host = HostFinding("10.0.0.1", "up", SEEN_AT, text or None, text or None, {"mac": text, "vendor": text, **extra})
    run(desk, scan, [host, found("10.0.0.1", 80, service=text, hostname=text or None, extra=named)])
    assert addresses(exported(desk, scan)) == ["10.0.0.1"]


def test_a_scan_that_is_not_there_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        read_report(desk.open_ledger, replace(desk.submit("10.0.0.1"), id="01900000-0000-7000-8000-000000000000").id)

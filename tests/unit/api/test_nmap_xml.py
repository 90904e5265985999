"""nmap's XML: whatever is stored, the document is well formed, and says no more than the ledger knows."""

from __future__ import annotations

import shlex
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.api.nmap_xml.document import MAX_ARGUMENT, nmap_xml_of, request_of
from cloudx.api.nmap_xml.elements import element, xml_text
from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.tools import UNBOUNDED_PPS, Tool
from cloudx.services.ledger.records import FindingRow, HostRow, Tally
from cloudx.services.scans.report import Report, ReportedHost
from cloudx.services.scans.view import view_of
from unit.domain.scan_builder import NOW, a_scan

AT = datetime(2026, 1, 2, 3, 10, tzinfo=UTC)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# JSON as a machine that somebody else has taken over might store it.
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
KNOWN_FIELDS = (
    "reason", "ttl", "product", "version", "extrainfo", "ostype", "tunnel", "conf", "cpe", "scripts", "hostnames",
    "mac", "vendor", "os_accuracy", "prefix", "probed_ports",
)  # fmt: skip
ANY_EXTRA = st.dictionaries(st.sampled_from(KNOWN_FIELDS), ANY_JSON)


def row(**changes: Any) -> FindingRow:
    fields: dict[str, Any] = {
        "scan_id": "s", "ip": "10.0.0.1", "protocol": "tcp", "port": 80, "state": "open", "service": None,
        "hostname": None, "observed_at": AT, "node_id": "vps1", "extra": {},
    }  # fmt: skip
    return FindingRow(**(fields | changes))


def nmap_host(**changes: Any) -> HostRow:
    return replace(HostRow("10.0.0.1", "up", None, None, {}, AT), **changes)


def reported(rows: Sequence[FindingRow] = (), host: HostRow | None = None, **changes: Any) -> ReportedHost:
    first = rows[0] if rows else None
    ip = host.ip if host else rows[0].ip
    return replace(ReportedHost(ip, host, list(rows), AT, first, None, None), **changes)


def document(*hosts: ReportedHost, scan: Scan | None = None, tally: Tally | None = None) -> ElementTree.Element:
    view = view_of(scan or a_scan(), tally or Tally(), NOW)
    return ElementTree.fromstring(b"".join(nmap_xml_of(Report(view, AT, iter(hosts)))))


def attributes(root: ElementTree.Element, path: str) -> dict[str, str]:
    found = root.find(path)
    assert found is not None, path
    return dict(found.attrib)


@given(ANY_TEXT, ANY_TEXT)
def test_an_attribute_reads_as_it_was_but_for_what_xml_cannot_hold(value: str, other: str) -> None:
    read = ElementTree.fromstring(element("a", {"b": value, "c": other}, element("d", {"e": value})))
    assert (read.get("b"), read.get("c")) == (xml_text(value), xml_text(other))
    assert [child.get("e") for child in read] == [xml_text(value)]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [("\x1b[31m", "\\x1B[31m"), ("a\0b", "a\\x00b"), ("\ufffe", "\ufffd"), ("tab\tnl\n", "tab\tnl\n")],
)
def test_a_control_character_is_shown_as_nmap_shows_it(sent: str, shown: str) -> None:
    assert xml_text(sent) == shown


@given(ANY_TEXT, ANY_TEXT, ANY_EXTRA, ANY_EXTRA, st.sampled_from(["tcp", "udp", "icmp", "foo"]), st.booleans())
def test_whatever_a_machine_stored_of_a_host_stays_text_of_that_host(
    said: str, name: str, extra: dict[str, Any], of_host: dict[str, Any], protocol: str, is_tarpit: bool
) -> None:
    hostile = row(service=said, hostname=name, state=said, protocol=protocol, extra=extra)
    host = nmap_host(state=said, hostname=name, os_name=said, extra=of_host)
    root = document(reported([hostile], host, tarpit=hostile if is_tarpit else None), reported([row(ip="10.0.0.2")]))
    assert [child.tag for child in root] == ["scaninfo", "verbose", "debugging", "host", "host", "runstats"]
    assert [address.get("addr") for address in root.iterfind("host/address[1]")] == ["10.0.0.1", "10.0.0.2"]
    assert len(root.findall("host[2]/ports/port")) == 1


def test_an_open_port_says_why_it_is_called_open_and_what_serves_it() -> None:
    extra = {"reason": "syn-ack", "ttl": 61, "product": "nginx", "version": "1.2", "conf": "10", "cpe": ["cpe:/a:n"]}
    root = document(reported([row(service="http", extra=extra | {"scripts": {"http-title": "<b>"}})]))
    assert attributes(root, "host/ports/port") == {"protocol": "tcp", "portid": "80"}
    assert attributes(root, ".//state") == {"state": "open", "reason": "syn-ack", "reason_ttl": "61"}
    known = {"name": "http", "product": "nginx", "version": "1.2", "method": "probed", "conf": "10"}
    assert attributes(root, ".//service") == known
    assert [cpe.text for cpe in root.iter("cpe")] == ["cpe:/a:n"]
    assert attributes(root, ".//script") == {"id": "http-title", "output": "<b>"}


@pytest.mark.parametrize(
    ("protocol", "state", "reason"),
    [("tcp", "open", "syn-ack"), ("udp", "open", "udp-response"), ("udp", "open|filtered", "no-response")],
)
def test_where_no_reason_was_kept_it_is_what_the_state_means(protocol: str, state: str, reason: str) -> None:
    root = document(reported([row(protocol=protocol, state=state)]))
    assert attributes(root, ".//state") == {"state": state, "reason": reason, "reason_ttl": "0"}


def test_a_name_by_the_ports_number_is_not_called_probed_and_no_name_makes_no_service() -> None:
    root = document(reported([row(service="http"), row(port=81)]))
    [service] = root.iter("service")
    assert service.attrib == {"name": "http", "method": "table", "conf": "3"}


def test_a_host_that_answered_a_ping_is_up_and_has_no_ports() -> None:
    scan = a_scan(type_name="ping_scan", ports=None)
    root = document(reported([row(protocol="icmp", port=0, state="up", extra={"ttl": 64})]), scan=scan)
    assert attributes(root, "host/status") == {"state": "up", "reason": "echo-reply", "reason_ttl": "64"}
    assert root.find("host/ports") is None
    assert root.find("scaninfo") is None


def test_a_name_that_was_asked_for_and_one_that_was_looked_up_are_told_apart() -> None:
    scan = a_scan(host_names={"10.0.0.1": ("b.test", "a.test")})
    asked = reported([row(hostname="b.test", extra={"hostnames": ["b.test", "a.test"]})])
    looked_up = reported([row(ip="10.0.0.2", hostname="ptr.test")])
    root = document(asked, looked_up, scan=scan)
    names = [[(name.get("name"), name.get("type")) for name in host.iter("hostname")] for host in root.iter("host")]
    assert names == [[("b.test", "user"), ("a.test", "user")], [("ptr.test", "PTR")]]


def test_a_host_of_nmaps_has_its_hardware_address_system_and_scripts() -> None:
    extra = {"mac": "02:FC:00:00:00:05", "vendor": "A & B", "os_accuracy": "96", "scripts": {"nbstat": "x\ny"}}
    host = nmap_host(os_name="Linux 5", extra=extra | {"reason": "arp-response"})
    root = document(reported(host=host), scan=a_scan(tool=Tool.NMAP))
    assert attributes(root, "host/status") == {"state": "up", "reason": "arp-response", "reason_ttl": "0"}
    assert attributes(root, "host/address[2]") == {"addr": extra["mac"], "addrtype": "mac", "vendor": "A & B"}
    assert attributes(root, "host/os/osmatch") == {"name": "Linux 5", "accuracy": "96", "line": "0"}
    assert attributes(root, "host/hostscript/script") == {"id": "nbstat", "output": "x\ny"}


def test_closed_is_never_said_and_nothing_of_ports_that_are_not_proven() -> None:
    unproven, proven = document(reported([row()])), document(reported([row()], unopened=3))
    assert unproven.find(".//extraports") is None
    assert attributes(proven, ".//extraports") == {"state": "closed|filtered", "count": "3"}
    assert {state.get("state") for state in proven.iter("state")} == {"open"}


def test_a_tar_pits_ports_are_not_listed_and_a_comment_says_why() -> None:
    verdict = row(port=1, state="answers_all", extra={"prefix": "10.0.0.0/30", "probed_ports": "1-200"})
    root = document(reported([verdict], tarpit=verdict))
    assert root.find("host/ports") is None
    comment = attributes(root, "host")["comment"]
    assert "10.0.0.0/30" in comment and "1-200" in comment


def test_it_says_when_it_began_and_ended_and_how() -> None:
    ended = NOW + timedelta(seconds=90, milliseconds=250)
    scan = a_scan(status=ScanStatus.COMPLETED, started_at=NOW, finished_at=ended)
    root = document(reported([row()]), scan=scan, tally=Tally(completed_units=256))
    assert (root.get("start"), root.get("startstr")) == (str(int(NOW.timestamp())), "Fri Jan  2 03:04:05 2026")
    finished = attributes(root, "runstats/finished")
    assert (finished["time"], finished["elapsed"]) == (str(int(ended.timestamp())), "90.25")
    assert finished["exit"] == "success" and "256 IP addresses (1 host up)" in finished["summary"]
    assert attributes(root, "host")["endtime"] == str(int(AT.timestamp()))


@pytest.mark.parametrize(
    ("status", "error", "exit_word", "message"),
    [
        (ScanStatus.RUNNING, None, None, None),
        (ScanStatus.COMPLETED, None, "success", None),
        (ScanStatus.STOPPED, None, "error", "The scan was stopped before its end."),
        (ScanStatus.FAILED, "<no> node", "error", "<no> node"),
    ],
)
def test_only_a_completed_scan_is_called_a_success(
    status: ScanStatus, error: str | None, exit_word: str | None, message: str | None
) -> None:
    finished = attributes(document(scan=a_scan(status=status, error=error)), "runstats/finished")
    assert (finished.get("exit"), finished.get("errormsg")) == (exit_word, message)
    assert ("256 of 256 probes not probed" in finished["summary"]) is True


@given(st.lists(ANY_TEXT.filter(lambda text: text and "," not in text), min_size=1, max_size=5))
def test_a_shell_reads_the_request_as_a_few_words_whatever_the_targets_are(targets: list[str]) -> None:
    scan = replace(a_scan(), target_text=",".join(targets))
    words = shlex.split(request_of(scan))
    assert words[:2] == ["cloudx", "scan"] and words[2 : 2 + len(targets)] == targets
    assert words[2 + len(targets) :] == ["--tool", "masscan", "--type", "tcp_scan", "--ports", "80", "--rate", "1000"]
    assert document(scan=scan).get("args") == xml_text(request_of(scan))


def test_a_request_of_megabytes_is_cut_between_two_targets() -> None:
    scan = replace(a_scan(rate_pps=UNBOUNDED_PPS), target_text=",".join(f"10.0.{n}.0/24" for n in range(256)))
    words = shlex.split(request_of(scan))
    assert len(request_of(scan)) < MAX_ARGUMENT + 200 and "--rate" not in words
    assert words[words.index("--tool") - 1] == "..." and all(word.endswith("/24") for word in words[2:50])


@pytest.mark.parametrize(
    ("tool", "type_name", "ports", "infos"),
    [
        (Tool.MASSCAN, "tcp_scan", "80,443", [("syn", "tcp", "2", "80,443")]),
        (Tool.MASSCAN, "udp_scan", "53", [("udp", "udp", "1", "53")]),
        (Tool.ZMAP, "tcp_syn", "22", [("syn", "tcp", "1", "22")]),
        (Tool.ZMAP, "icmp_echo", None, []),
        (Tool.NMAP, "tcp", "1-9", [("connect", "tcp", "9", "1-9")]),
        (Tool.NMAP, "default", "T:80,U:53-54", [("syn", "tcp", "1", "80"), ("udp", "udp", "2", "53-54")]),
        (Tool.NMAP, "full", None, [("syn", "tcp", "65535", "1-65535")]),
        (Tool.NMAP, "quick", None, [("syn", "tcp", "100", "")]),
    ],
)
def test_what_was_scanned_for_is_told_by_protocol(
    tool: Tool, type_name: str, ports: str | None, infos: list[tuple[str, ...]]
) -> None:
    scan = a_scan(tool=tool, type_name=type_name, ports=None)
    root = document(scan=replace(scan, ports=PortSet.parse(ports) if ports else None))
    names = ("type", "protocol", "numservices", "services")
    assert [tuple(info.attrib[name] for name in names) for info in root.iter("scaninfo")] == infos


def test_it_names_no_stylesheet_and_has_no_entity() -> None:
    view = view_of(a_scan(), Tally(), NOW)
    text = b"".join(nmap_xml_of(Report(view, AT, iter([reported([row()])]))))
    assert b"<?xml-stylesheet" not in text and b"<!ENTITY" not in text and text.count(b"<!") == 1

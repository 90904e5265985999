"""Whole argument lists, word for word, and that nothing in them can become another option."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.addresses import AddressSet
from cloudx.domain.errors import CloudxError
from cloudx.domain.port_set import PortSet
from cloudx.domain.tools import SCAN_TYPES, PortRule, ScanType, Tool
from cloudx.scanners.masscan.scanner import Masscan
from cloudx.scanners.nmap.scanner import Nmap
from cloudx.scanners.zmap.scanner import Zmap
from cloudx.services.chunks.scanner_port import Assignment, Egress, Scanner
from fixtures.assignments import EGRESS, assign

FOLDER = Path("/run/cloudx/s1-0-1")
SEED, SOURCE_PORT, SOURCE_PORTS = "146068580584189173", "61309", "61480-61495"
SCANNERS: dict[Tool, Scanner] = {Tool.NMAP: Nmap(), Tool.MASSCAN: Masscan(), Tool.ZMAP: Zmap()}
NMAP_START = [
    "nmap",
    "-n",
    "-v",
    "--stats-every",
    "500ms",
    "-T4",
    "--privileged",
    "--max-rate",
    "1000",
    "--min-hostgroup",
    "256",
]
RAW_DISCOVERY = ["-PE", "-PS21-22,25,53,80,135,139,443,445,3389,8080,8443", "-PA80,443"]
ANY_DISCOVERY = ["-PE", "-PS21,22,25,53,80,135,139,443,445,3389,8080,8443", "-PA80,443"]
NMAP_END = ["-oX", "-", "-iL", "/run/cloudx/s1-0-1/targets"]
VULN = ["-sS", "-sV", "--script", "vuln and not (dos or broadcast or external)", "--script-timeout", "5m"]
DEFAULT_SCRIPTS = "default and not (dos or broadcast or external or ftp-bounce)"
INTENSE = ["-sV", "--script", DEFAULT_SCRIPTS, "--script-timeout", "5m"]


@pytest.mark.parametrize(
    ("type_name", "technique"),
    [
        ("default", ["-sS", "--top-ports", "1000"]),
        ("quick", ["-sS", "--top-ports", "100"]),
        ("intense", ["-sS", *INTENSE, "-O", "--traceroute", "--top-ports", "1000"]),
        ("tcp", ["-sT", "--top-ports", "1000"]),
        ("udp", ["-sU", "--top-ports", "100"]),
        ("full", ["-sS", "-p", "1-65535"]),
        ("vuln", [*VULN, "--top-ports", "1000"]),
    ],
)
def test_nmap_is_asked_exactly_this_for_each_scan_type(type_name: str, technique: list[str]) -> None:
    command = Nmap().command(assign("nmap", type_name), FOLDER)
    assert command.argv == [*NMAP_START, *ANY_DISCOVERY, *technique, *NMAP_END]
    assert command.files == {"targets": ["198.51.100.0/24"]}


def test_nmap_probes_the_asked_ports_and_looks_for_hosts_on_them_too() -> None:
    argv = Nmap().command(assign("nmap", "default", ports="22,5000-5001"), FOLDER).argv
    discovery = ["-PE", "-PS21-22,25,53,80,135,139,443,445,3389,5000-5001,8080,8443", "-PA80,443"]
    assert argv == [*NMAP_START, *discovery, "-sS", "-p", "22,5000-5001", *NMAP_END]


@pytest.mark.parametrize(
    ("ports", "technique"),
    [("T:22,U:53,161", ["-sS", "-sU", "-p", "T:22,U:53,161"]), ("U:53", ["-sU", "-p", "U:53"])],
)
def test_nmap_sends_udp_too_where_udp_ports_are_asked_for(ports: str, technique: list[str]) -> None:
    argv = Nmap().command(assign("nmap", "default", ports=ports), FOLDER).argv
    assert argv == [*NMAP_START, *RAW_DISCOVERY, *technique, *NMAP_END]


@pytest.mark.parametrize(
    ("type_name", "technique"),
    [
        ("default", ["-sT", "--top-ports", "1000"]),
        ("intense", ["-sT", *INTENSE, "--top-ports", "1000"]),
        ("full", ["-sT", "-p", "1-65535"]),
    ],
)
def test_nmap_without_raw_sockets_connects_and_drops_what_needs_root(type_name: str, technique: list[str]) -> None:
    argv = Nmap().command(assign("nmap", type_name, raw_sockets=False), FOLDER).argv
    start = [word.replace("--privileged", "--unprivileged") for word in NMAP_START]
    assert argv == [*start, ANY_DISCOVERY[1], *technique, *NMAP_END]


def test_nmap_scans_a_single_address_whether_or_not_it_answers_first() -> None:
    argv = Nmap().command(assign("nmap", "quick", "198.51.100.7"), FOLDER).argv
    assert argv == [*NMAP_START, "-Pn", "-sS", "--top-ports", "100", *NMAP_END]


def test_nmap_takes_ipv6_addresses() -> None:
    command = Nmap().command(assign("nmap", "default", "2001:db8::/126", ports="22"), FOLDER)
    privileged = NMAP_START.index("--privileged") + 1
    start = [*NMAP_START[:privileged], "-6", *NMAP_START[privileged:]]
    assert command.argv == [*start, *RAW_DISCOVERY, "-sS", "-p", "22", *NMAP_END]
    assert command.files == {"targets": ["2001:db8::/126"]}


@pytest.mark.parametrize(
    ("type_name", "ports", "probes"),
    [
        ("tcp_scan", "80,443,8000-8010", ["--ports", "80,443,8000-8010"]),
        ("udp_scan", "53,160-162", ["--ports", "U:53,U:160-162"]),
        ("ping_scan", None, ["--ping"]),
    ],
)
def test_masscan_is_asked_exactly_this_for_each_scan_type(type_name: str, ports: str | None, probes: list[str]) -> None:
    command = Masscan().command(assign("masscan", type_name, "198.51.100.3-198.51.100.9", ports), FOLDER)
    assert command.argv == [
        *("masscan", "-iL", "/run/cloudx/s1-0-1/targets", *probes, "--rate", "1000", "--wait", "3"),
        *("--seed", SEED, "--source-port", SOURCE_PORT),
        *("--interface", "eth0", "--source-ip", "192.0.2.2", "--router-mac", "02-fc-00-00-00-05"),
        *("--noreset", "-oD", "/run/cloudx/s1-0-1/results.ndjson"),
    ]
    assert command.files == {"targets": ["198.51.100.3-198.51.100.9"]}


def test_masscan_is_never_asked_to_repeat_probes_itself_which_would_double_its_rate() -> None:
    prepared = assign("masscan", "tcp_scan", ports="80")
    unprepared = dataclasses.replace(prepared, egress=dataclasses.replace(EGRESS, offloads_on=True), tries=4)
    assert Masscan().command(unprepared, FOLDER).argv == Masscan().command(prepared, FOLDER).argv


@pytest.mark.parametrize(
    ("type_name", "ports", "probes"),
    [
        ("tcp_syn", "443", ["--probe-module", "tcp_synscan", "--target-port", "443"]),
        ("icmp_echo", None, ["--probe-module", "icmp_echoscan"]),
    ],
)
def test_zmap_is_asked_exactly_this_for_each_scan_type(
    type_name: str, ports: str | None, probes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    command = Zmap().command(assign("zmap", type_name, "198.51.100.3-198.51.100.9", ports), FOLDER)
    assert command.argv == [
        *("zmap", "--config", "/run/cloudx/s1-0-1/zmap.conf", *probes),
        *("--whitelist-file", "/run/cloudx/s1-0-1/targets", "--blacklist-file", "/run/cloudx/s1-0-1/blocked"),
        *("--rate", "1000", "--cooldown-time", "3", "--seed", SEED, "--source-port", SOURCE_PORTS),
        *("--sender-threads", "1", "--cores", "3", "--interface", "eth0", "--source-ip", "192.0.2.2"),
        *("--gateway-mac", "02:fc:00:00:00:05"),
        *("--output-module", "csv", "--output-fields", "saddr,ttl,timestamp-ts"),
        *("--output-filter", "success = 1 && repeat = 0", "--output-file", "/run/cloudx/s1-0-1/results.csv"),
        *("--metadata-file", "/run/cloudx/s1-0-1/account.json", "--disable-syslog"),
    ]
    lines = ["198.51.100.3/32", "198.51.100.4/30", "198.51.100.8/31"]
    assert command.files == {"targets": lines, "blocked": [], "zmap.conf": []}


def test_zmap_refuses_more_than_one_port_and_names_the_remedy() -> None:
    with pytest.raises(CloudxError, match="use masscan for several"):
        Zmap().command(assign("zmap", "tcp_syn", ports="80,81"), FOLDER)


def test_zmaps_threads_share_one_processor_that_this_machine_has_other_ones_for_other_runs() -> None:
    runs = [Zmap().command(assign("zmap", "tcp_syn", ports="80"), Path(f"/run/s1-{number}-1")) for number in range(64)]
    processors = {command.argv[command.argv.index("--cores") + 1] for command in runs}
    assert processors == {str(processor) for processor in os.sched_getaffinity(0)}


@pytest.mark.parametrize("tool", [Masscan(), Zmap()], ids=["masscan", "zmap"])
def test_each_run_has_a_seed_of_its_own(tool: Scanner) -> None:
    assignment = assign(tool.tool, "tcp_scan" if tool.tool is Tool.MASSCAN else "tcp_syn", ports="80")
    argvs = [
        tool.command(assignment, Path(f"/run/s1-{chunk}-{attempt}")).argv for chunk in (1, 2) for attempt in (1, 2)
    ]
    seeds = {argv[argv.index("--seed") + 1] for argv in argvs}
    assert len(seeds) == 4
    assert "0" not in seeds


KEYS = st.integers(0, 2**32 - 1)
SPANS = st.tuples(KEYS, st.integers(0, 5000)).map(lambda span: (span[0], min(span[0] + span[1], 2**32 - 1)))
PORTS = st.tuples(st.integers(1, 65535), st.integers(0, 50)).map(lambda p: (p[0], min(p[0] + p[1], 65535)))


@st.composite
def assignments(draw: st.DrawFn) -> Assignment:
    scan_type: ScanType = draw(st.sampled_from(list(SCAN_TYPES.values())))
    addresses = AddressSet.of(draw(st.lists(SPANS, min_size=1, max_size=5)))
    port_sets = st.lists(PORTS, min_size=1, max_size=5).map(PortSet.of)
    port_sets_of_both = st.tuples(port_sets, port_sets).map(lambda pair: PortSet(pair[0].ranges, pair[1].ranges))
    ports = {
        PortRule.NONE: st.none(),
        PortRule.ONE: st.integers(1, 65535).map(lambda port: PortSet(((port, port),))),
        PortRule.REQUIRED: port_sets,
        PortRule.OPTIONAL: st.none() | (port_sets_of_both if scan_type.may_send_udp else port_sets),
    }[scan_type.ports]
    egress = None if scan_type.tool is Tool.NMAP else Egress("eth0", "192.0.2.2", "192.0.2.1", "02:fc:00:00:00:05")
    return Assignment(scan_type, addresses, draw(ports), draw(st.integers(1, 10**7)), draw(st.booleans()), egress)


@given(assignments())
def test_whatever_is_scanned_only_numbers_change_in_the_argument_list(assignment: Assignment) -> None:
    command = SCANNERS[assignment.scan_type.tool].command(assignment, FOLDER)
    known = _options_of(assignment)
    for word in command.argv:
        assert not word.startswith("-") or word in known or _is_port_ping(word), word


@given(assignments())
def test_the_files_a_scanner_reads_hold_addresses_alone(assignment: Assignment) -> None:
    files = SCANNERS[assignment.scan_type.tool].command(assignment, FOLDER).files
    lines = files["targets"]
    written = AddressSet.of(
        span for line in lines for span in (AddressSet.of_texts([line]).ranges if "/" not in line else _block(line))
    )
    assert written == assignment.addresses
    assert all(set(line) <= set("0123456789./-") for line in lines)


def _options_of(assignment: Assignment) -> set[str]:
    """The options of a run of the same type with one fixed address and port."""
    udp = ((53, 53),) if assignment.ports and assignment.ports.udp_ranges else ()
    ports = assignment.ports and PortSet(((80, 80),), udp)
    fixed = dataclasses.replace(assignment, addresses=AddressSet(((1, 1),)), ports=ports, rate_pps=1)
    many = dataclasses.replace(fixed, addresses=AddressSet(((1, 2),)))
    scanner = SCANNERS[assignment.scan_type.tool]
    return {word for assignment in (fixed, many) for word in scanner.command(assignment, FOLDER).argv}


def _is_port_ping(word: str) -> bool:
    return word.startswith("-PS") and set(word[3:]) <= set("0123456789,-")


def _block(line: str) -> tuple[tuple[int, int], ...]:
    return AddressSet.of_networks([ipaddress.ip_network(line)]).ranges


@pytest.mark.parametrize(
    ("type_name", "rate_pps", "raw_sockets", "max_rate"),
    [("default", 2000, True, "999.000"), ("udp", 200, True, "99.000"), ("tcp", 2000, True, "665.667"),
     ("full", 20, True, "9.000"), ("quick", 30, False, "9.000"), ("quick", 1, True, "0.250")],
)  # fmt: skip
def test_of_an_asked_rate_nmap_gets_what_leaves_room_for_what_the_kernel_sends(
    type_name: str, rate_pps: int, raw_sockets: bool, max_rate: str
) -> None:
    asked = dataclasses.replace(
        assign("nmap", type_name, raw_sockets=raw_sockets), rate_pps=rate_pps, is_rate_asked=True
    )
    argv = Nmap().command(asked, FOLDER).argv
    assert argv[argv.index("--max-rate") + 1] == max_rate


def test_a_chunk_of_one_address_of_a_larger_scan_is_looked_for_first() -> None:
    one_of_many = dataclasses.replace(assign("nmap", "quick", "198.51.100.7"), is_whole_scan=False)
    assert "-Pn" not in Nmap().command(one_of_many, FOLDER).argv


def test_nmap_gives_a_host_up_after_the_time_that_was_asked_for() -> None:
    limited = dataclasses.replace(assign("nmap", "default"), timeout_seconds=90)
    argv = Nmap().command(limited, FOLDER).argv
    assert argv[argv.index("--host-timeout") + 1] == "90s"


def test_what_was_found_open_before_is_asked_without_looking_for_the_host() -> None:
    asked = replace(
        assign("nmap", "intense", "198.51.100.3-4", ports="22,80"), are_known_open=True, is_whole_scan=False
    )
    argv = Nmap().command(asked, FOLDER).argv
    assert "-Pn" in argv
    assert not [option for option in argv if option.startswith(("-PE", "-PS", "-PA"))]
    assert argv[argv.index("-p") + 1] == "22,80"

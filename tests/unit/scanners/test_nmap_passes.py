"""Which UDP ports nmap asks again, and what its passes say together; what lies outside a chunk is dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.findings import Finding
from cloudx.domain.port_set import PortSet
from cloudx.scanners.nmap.scanner import Nmap
from cloudx.scanners.nmap.udp_passes import MAX_PASSES, Again, HostPorts, Pass, doubtful_after, next_pass
from fixtures.assignments import assign

HEAD = '<?xml version="1.0"?>\n<nmaprun scanner="nmap" version="7.93">\n'
END = '<runstats><finished time="1795538480" exit="success"/></runstats>\n</nmaprun>\n'
PORTS = st.sets(st.integers(1, 40), max_size=12)
HOSTS = st.builds(HostPorts, doubtful=PORTS, settled=PORTS, tells_closed=st.booleans())
PASSES = st.lists(st.dictionaries(st.sampled_from("abc"), HOSTS, max_size=3), min_size=1, max_size=MAX_PASSES + 1)


def host(ip: str, ports: str) -> str:
    return (
        f'<host endtime="1795538480"><status state="up" reason="echo-reply"/><address addr="{ip}" addrtype="ipv4"/>'
        f"<ports>{ports}</ports></host>\n"
    )


def port(number: int, state: str, protocol: str = "udp") -> str:
    return f'<port protocol="{protocol}" portid="{number}"><state state="{state}"/><service name="s"/></port>'


def grouped(state: str, ports: str, protocol: str = "udp") -> str:
    reasons = f'<extrareasons reason="no-response" proto="{protocol}" ports="{ports}"/>'
    return f'<extraports state="{state}" count="9">{reasons}</extraports>'


def again_of(folder: Path, *texts: str) -> tuple[list[str], str] | None:
    """Which hosts and ports the next pass asks, after passes that reported these texts."""
    for number, text in enumerate(texts, start=1):
        (folder / ("scan.xml" if number == 1 else f"scan.{number}.xml")).write_text(HEAD + text + END)
    command = Nmap().next_command(assign("nmap", "udp", ports="1-99"), folder)
    if command is None:
        return None
    (targets,) = command.files.values()
    return targets, command.argv[command.argv.index("-p") + 1]


def test_doubtful_ports_of_a_host_that_told_of_closed_ones_are_asked_again_and_others_are_not(tmp_path: Path) -> None:
    told = host("198.51.100.1", port(7, "closed") + port(8, "open|filtered") + grouped("open|filtered", "20-22"))
    silent = host("198.51.100.2", port(8, "open|filtered") + port(9, "open"))
    all_told = host("198.51.100.3", grouped("closed", "1-99"))
    assert again_of(tmp_path, told + silent + all_told) == (["198.51.100.1"], "8,20-22")


def test_a_pass_that_settled_nothing_is_the_last_one(tmp_path: Path) -> None:
    first = host("198.51.100.1", port(7, "closed") + port(8, "open|filtered") + port(9, "open|filtered"))
    assert again_of(tmp_path, first, host("198.51.100.1", port(8, "closed") + port(9, "open|filtered"))) == (
        ["198.51.100.1"],
        "9",
    )
    nothing_new = host("198.51.100.1", port(9, "open|filtered"))
    assert again_of(tmp_path, first, host("198.51.100.1", port(8, "closed")), nothing_new) is None


def test_the_second_pass_waits_a_second_between_probes_and_later_ones_ask_one_host_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "scan.xml").write_text(HEAD + host("198.51.100.1", port(7, "closed") + port(8, "open|filtered")) + END)
    command = Nmap().next_command(assign("nmap", "udp", ports="1-99"), tmp_path)
    assert command is not None
    assert command.argv == [
        *("nmap", "-n", "-v", "--stats-every", "500ms", "-T3", "--privileged", "--max-rate", "1000", "-Pn", "-sU"),
        *("-p", "8", "--scan-delay", "1100ms", "--max-retries", "2", "--min-hostgroup", "256"),
        *("-oX", "-", "-iL", f"{tmp_path}/targets.2"),
    ]
    assert next_pass([{"a": HostPorts({1, 2}, {3}, True)}, {"a": HostPorts({1}, {2}, True)}]) == Again(
        ("a",), PortSet.parse("1"), one_at_a_time=True
    )


def test_tcp_scans_have_one_pass(tmp_path: Path) -> None:
    (tmp_path / "scan.xml").write_text(HEAD + host("198.51.100.1", port(8, "open|filtered", "tcp")) + END)
    assert Nmap().next_command(assign("nmap", "default"), tmp_path) is None


@given(PASSES)
def test_asking_again_ends_and_asks_only_what_is_still_in_doubt(passes: list[Pass]) -> None:
    again = next_pass(passes)
    if len(passes) >= MAX_PASSES:
        assert again is None
    if again is None:
        return
    left = doubtful_after(passes)
    asked = {each for first, last in again.ports.ranges for each in range(first, last + 1)}
    assert asked <= set().union(*(left[ip] for ip in again.hosts))
    assert all(left[ip] & asked for ip in again.hosts)
    assert set(again.hosts) <= set(passes[0])


def test_the_passes_together_keep_what_answered_and_what_stayed_silent(tmp_path: Path) -> None:
    first = port(7, "open") + port(8, "open|filtered") + port(9, "open|filtered") + port(10, "open|filtered")
    first += port(11, "closed") + grouped("open|filtered", "20-50")
    second = port(8, "closed") + port(9, "open") + port(10, "open|filtered") + port(20, "open") + port(21, "closed")
    second += port(22, "open|filtered") + port(11, "open|filtered")  # 11 was closed
    for name, ports in (("scan.xml", first), ("scan.2.xml", second)):
        (tmp_path / name).write_text(HEAD + host("198.51.100.1", ports) + END)
    found = [each for each in Nmap().findings(assign("nmap", "udp"), tmp_path) if isinstance(each, Finding)]
    states = {each.port: each.state for each in found}
    assert len(states) == len(found)
    assert states == {7: "open", 9: "open", 10: "open|filtered", 20: "open", 22: "open|filtered"}


@pytest.mark.parametrize("ports", [None, "80-90"])
def test_an_address_or_port_that_the_chunk_has_not_is_dropped(tmp_path: Path, ports: str | None) -> None:
    inside = host("198.51.100.7", port(80, "open", "tcp") + port(22, "open", "tcp"))
    outside = host("203.0.113.7", port(80, "open", "tcp")) + host("not-an-address", port(80, "open", "tcp"))
    (tmp_path / "scan.xml").write_text(HEAD + outside + inside + END)
    found = list(Nmap().findings(assign("nmap", "default", ports=ports), tmp_path))
    assert {each.ip for each in found} == {"198.51.100.7"}
    assert {each.port for each in found if isinstance(each, Finding)} == ({80} if ports else {22, 80})

"""masscan's NDJSON: what is a finding, what is a stray, and what is neither."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.addresses import AddressSet
from cloudx.domain.findings import Finding, Found, each
from cloudx.domain.port_set import PortSet
from cloudx.scanners.masscan.records import Replies
from cloudx.scanners.masscan.scanner import RESULTS_FILE, Masscan
from cloudx.scanners.runs.reply_dedup import ReplyDedup
from fixtures.assignments import assign


def record(ip: str, port: int, proto: str = "tcp", rec_type: str = "status", reason: str = "syn-ack") -> str:
    """A line as masscan 1.3.2 writes it."""
    return (
        f'{{"ip":"{ip}","timestamp":"1795538204","port":{port},"proto":"{proto}","rec_type":"{rec_type}",'
        f'"data":{{"status":"open","reason":"{reason}","ttl":64}}}}\n'
    )


def found_in(folder: Path, text: str, type_name: str = "tcp_scan", ports: str | None = "22,80") -> list[Finding]:
    (folder / RESULTS_FILE).write_text(text)
    assignment = assign("masscan", type_name, "198.51.100.0/28", ports)
    replies = Replies(assignment)
    replies.read_on(folder / RESULTS_FILE)
    replies.save(folder)
    return ports_of(Masscan().findings(assignment, folder))


def ports_of(findings: Iterable[Found]) -> list[Finding]:
    """As findings of ports, which are all that masscan makes."""
    ports = []
    for finding in each(findings):
        assert isinstance(finding, Finding)
        ports.append(finding)
    return ports


def test_what_is_read_while_the_file_grows_is_what_is_read_at_the_end(tmp_path: Path) -> None:
    assignment = assign("masscan", "tcp_scan", "198.51.100.0/28", "22,80")
    text = "".join(record(f"198.51.100.{last % 16}", port) for port in (80, 22) for last in range(16))
    file, replies = tmp_path / RESULTS_FILE, Replies(assignment)
    replies.read_on(file)  # before masscan has made it
    for end in range(0, len(text) + 700, 700):
        file.write_text(text[:end])
        replies.read_on(file)
    replies.save(tmp_path)
    grown = ports_of(Masscan().findings(assignment, tmp_path))
    assert grown == found_in(tmp_path, text)
    assert [(finding.ip, finding.port) for finding in grown[:2]] == [("198.51.100.0", 22), ("198.51.100.0", 80)]


def test_a_record_becomes_a_finding(tmp_path: Path) -> None:
    seen_at = datetime(2026, 11, 24, 16, 36, 44, tzinfo=UTC)
    expected = Finding("198.51.100.3", "tcp", 80, "open", seen_at, extra={"reason": "syn-ack", "ttl": 64})
    assert found_in(tmp_path, record("198.51.100.3", 80)) == [expected]


def test_a_ping_reply_is_a_host_that_is_up_on_port_0(tmp_path: Path) -> None:
    (finding,) = found_in(tmp_path, record("198.51.100.3", 0, "icmp", reason="none"), "ping_scan", None)
    assert (finding.protocol, finding.port, finding.state) == ("icmp", 0, "up")


def test_duplicates_come_out_once(tmp_path: Path) -> None:
    assert len(found_in(tmp_path, record("198.51.100.3", 80) * 3)) == 1


@pytest.mark.parametrize(
    "stray",
    [
        record("198.51.100.16", 80),  # the address after the last one asked
        record("198.51.100.3", 81),  # a port that was not asked
        record("198.51.100.3", 80, "udp"),
        record("198.51.100.3", 80, rec_type="banner"),
        record("999.51.100.3", 80),
        record("198.51.100.3", 99999),
    ],
)
def test_what_was_not_asked_is_no_finding(tmp_path: Path, stray: str) -> None:
    assert [finding.ip for finding in found_in(tmp_path, stray + record("198.51.100.9", 22))] == ["198.51.100.9"]


@pytest.mark.parametrize(
    "broken", ["", "\n", "{}\n", '{"ip":"198.51.100.3"', record("198.51.100.3", 80)[:-10], "\0" * 100 + "\n"]
)
def test_a_broken_line_is_passed_over(tmp_path: Path, broken: str) -> None:
    assert found_in(tmp_path, broken) == []


def test_a_record_that_straddles_two_reads_is_read_whole(tmp_path: Path) -> None:
    text = "".join(record(f"198.51.100.{last % 16}", port) for port in (22, 80) for last in range(16)) * 100
    assert len(text) > 3 << 17  # more than one read
    assert len(found_in(tmp_path, text)) == 32


def test_findings_of_one_second_share_their_time_and_extra(tmp_path: Path) -> None:
    first, second = found_in(tmp_path, record("198.51.100.3", 80) + record("198.51.100.4", 80))
    assert first.observed_at is second.observed_at
    assert first.extra is second.extra


SPANS = st.tuples(st.integers(0, 300), st.integers(0, 20)).map(lambda s: (s[0], s[0] + s[1]))


@given(st.lists(SPANS, min_size=1, max_size=4), st.lists(SPANS, min_size=1, max_size=4), st.data())
def test_each_probe_of_a_chunk_is_answered_exactly_once(
    address_spans: list[tuple[int, int]], port_spans: list[tuple[int, int]], data: st.DataObject
) -> None:
    addresses = AddressSet.of(address_spans)
    ports = PortSet.of([(low + 1, high + 1) for low, high in port_spans])
    replies = data.draw(st.lists(st.tuples(st.integers(0, 330), st.integers(1, 330)), max_size=60))
    dedup, new = ReplyDedup(addresses, ports), set()
    for key, port in replies:
        text = str(next(iter(AddressSet(((key, key),))))).encode()
        expected = addresses.index_of_key(key) is not None and ports.index_of(port) is not None
        place = dedup.probe_of_first_reply(text, str(port).encode())
        assert (place is not None) == (expected and (key, port) not in new)
        if expected:
            new.add((key, port))

"""Findings come back as they went in, in order, at any depth: on SQLite and on PostgreSQL."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from cloudx.adapters.database import open_ledger_on
from cloudx.domain.errors import Conflict, DependencyUnavailable
from cloudx.domain.findings import PORT_SHIFT, ROW_SHIFT, Answer, Finding, FindingBlock, Found, HostFinding
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import RunOutput, complete_chunk
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.scans.control import delete_scan
from cloudx.services.scans.results import page_findings, stream_findings
from fixtures.ledgers import ADMIN, SEEN_AT, Desk, NameTable, found
from fixtures.servers.postgres import PostgresServer

HOSTILE = [
    "plain",
    "tab\there",
    "new\nline",
    "carriage\rreturn",
    "back\\slash",
    "\\N",
    "\\.",
    "\\t\\n\\\\",
    'it\'s "quoted" ; DROP TABLE findings; --',
    "ünïcödé ☃ 漢字 🦀",
    "%s %(x)s {0} $1 :name",
    "",
    " lead and trail ",
    "\x01\x1b[31m\x7f",
    "\u2028\u2029\u0085",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_a_service_announces_is_stored_as_it_was(desk: Desk, text: str) -> None:
    scan = desk.submit("10.0.0.0/24")
    extra = {"banner": text, text: [text, 1, None, True]}
    desk.complete(desk.must_claim(), found("10.0.0.1", service=text, hostname=text or None, extra=extra))
    (row,) = page_findings(desk.open_ledger, scan.id, None, 10)[0]
    assert (row.service, row.hostname, row.extra) == (text, text or None, extra)


@given(data=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_block_is_stored_as_its_findings_one_by_one_would_be(desk: Desk, data: st.DataObject) -> None:
    desk.register("node-1")  # the examples take longer than a silent node counts as online
    addresses = sorted(data.draw(st.sets(st.integers(10 << 24, (10 << 24) + 255), min_size=1, max_size=9)))
    extras = st.sampled_from([{}, {"reason": "syn-ack", "ttl": 64}, {"reason": HOSTILE[8]}])
    states = st.sampled_from(["open", "open|filtered", "up"])
    answers = data.draw(st.lists(st.builds(Answer, st.just("tcp"), states, st.just(SEEN_AT), extras), min_size=1))
    places = data.draw(st.sets(st.tuples(st.integers(0, len(addresses) - 1), st.integers(1, 100)), min_size=1))
    numbers = st.integers(0, len(answers) - 1)
    cells = [row << ROW_SHIFT | port << PORT_SHIFT | data.draw(numbers) for row, port in sorted(places)]
    block = FindingBlock(addresses, answers, cells)
    whole, single = (desk.submit("10.0.0.0/24", ports="1-100") for _ in range(2))
    assert _complete_from(desk, desk.must_claim(only_scan=whole.id), [block]) == len(cells)
    assert _complete_from(desk, desk.must_claim(only_scan=single.id), list(block)) == len(cells)
    ours, theirs = (page_findings(desk.open_ledger, scan.id, None, 10_000)[0] for scan in (whole, single))
    assert [replace(row, scan_id="") for row in ours] == [replace(row, scan_id="") for row in theirs]


def test_blocks_and_findings_may_come_by_turns_and_one_twice_is_refused(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24", ports="1-100")
    first = FindingBlock([10 << 24], [Answer("tcp", "open", SEEN_AT)], [1 << PORT_SHIFT, 2 << PORT_SHIFT])
    claim = desk.must_claim()
    with pytest.raises(Conflict, match="one finding twice"):
        _complete_from(desk, claim, [first, found("10.0.0.9", 9), first])
    assert _complete_from(desk, claim, [found("10.0.0.8", 8), first, found("10.0.0.9", 9)]) == 4
    rows = page_findings(desk.open_ledger, scan.id, None, 10)[0]
    assert [(row.ip, row.port) for row in rows] == [("10.0.0.0", 1), ("10.0.0.0", 2), ("10.0.0.8", 8), ("10.0.0.9", 9)]


@pytest.mark.parametrize(("text", "stored"), [("a\0b", "ab"), ("a\ud800b", "a?b")])
def test_what_no_database_can_hold_is_left_out_and_the_chunk_still_commits(desk: Desk, text: str, stored: str) -> None:
    scan = desk.submit("10.0.0.0/24", tool="nmap", name=text)
    findings = [found("10.0.0.1", service=text, hostname=text), HostFinding("10.0.0.1", "up", SEEN_AT, text, text)]
    claim = desk.must_claim(node=text)
    desk.complete(claim, *findings)
    (row,) = page_findings(desk.open_ledger, scan.id, None, 10)[0]
    assert (row.service, row.hostname, row.node_id) == (stored, stored, stored)
    assert desk.show(scan).scan.name == stored


def test_a_finding_is_stored_with_its_moment_its_node_and_the_name_it_was_asked_by(
    open_ledger: OpenLedger, engine: Engine
) -> None:
    desk = Desk(open_ledger, engine, NameTable(five_example="10.0.0.5"))
    scan = desk.submit("10.0.0.0/24 five.example")
    desk.complete(desk.must_claim(node="node-7"), found("10.0.0.5"), found("10.0.0.6"))
    five, six = page_findings(desk.open_ledger, scan.id, None, 10)[0]
    assert (five.hostname, six.hostname) == ("five.example", None)
    assert (five.observed_at, five.node_id, five.scan_id) == (SEEN_AT, "node-7", scan.id)
    assert (five.service, five.extra) == (None, {})


def test_pages_follow_the_order_of_addresses_and_ports_at_any_depth_ipv4_before_ipv6(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/8", "fd00::/112", tool="nmap")
    chance = random.Random(7)
    ips = {str(ipaddress.IPv4Address(chance.randrange(10 << 24, 11 << 24))) for _ in range(60)}
    ips |= {str(ipaddress.IPv6Address((0xFD << 120) + chance.randrange(1 << 16))) for _ in range(60)}
    ips |= {"10.0.0.2", "10.0.0.10", "10.0.0.100", "9.255.255.255", "100.0.0.1", "fd00::", "::1", "fe80::1"}
    stored = [found(ip, port, protocol) for ip in ips for protocol, port in (("tcp", 80), ("udp", 53), ("tcp", 9))]
    chance.shuffle(stored)
    desk.complete(desk.must_claim(), *stored)

    def place(row: tuple[str, str, int]) -> tuple[int, int, str, int]:
        address = ipaddress.ip_address(row[0])
        return address.version, int(address), row[1], row[2]

    wanted = sorted(((one.ip, one.protocol, one.port) for one in stored), key=place)
    for limit in (1, 7, 100, 1000):
        seen: list[tuple[str, str, int]] = []
        after = None
        while True:
            rows, after = page_findings(desk.open_ledger, scan.id, after, limit)
            assert len(rows) <= limit
            seen.extend(row.key for row in rows)
            if after is None:
                break
        assert seen == wanted
    assert [row.key for row in stream_findings(desk.open_ledger, scan.id)] == wanted


def test_a_page_holds_the_findings_of_its_scan_alone(desk: Desk) -> None:
    for _ in range(2):
        scan = desk.submit("10.0.0.0/24")
        desk.complete(desk.must_claim(only_scan=scan.id), found("10.0.0.1"), found("10.0.0.1", 81))
    rows, after = page_findings(desk.open_ledger, scan.id, None, 2)
    assert {row.scan_id for row in rows} == {scan.id}
    assert (len(rows), after) == (2, None)


def test_hosts_come_in_address_order_and_by_page(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24", tool="nmap")
    ips = ["10.0.0.10", "10.0.0.9", "10.0.0.100", "10.0.0.11"]
    desk.complete(desk.must_claim(), *[HostFinding(ip, "up", SEEN_AT, None, "Linux", {"n": ip}) for ip in ips])
    with desk.open_ledger(read_only=True) as ledger:
        hosts = ledger.findings.hosts(scan.id, None, 10)
        assert [host.ip for host in hosts] == ["10.0.0.9", "10.0.0.10", "10.0.0.11", "10.0.0.100"]
        assert [host.ip for host in ledger.findings.hosts(scan.id, "10.0.0.10", 1)] == ["10.0.0.11"]
        assert (hosts[0].os_name, hosts[0].extra) == ("Linux", {"n": "10.0.0.9"})


def test_a_parser_that_breaks_mid_way_leaves_nothing_behind_and_its_own_error_is_what_is_raised(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    claim = desk.must_claim()

    def torn() -> Iterator[Finding]:
        for number in range(1, 20_000):
            yield found("10.0.0.1", number)
        raise ValueError("the output is torn")

    with pytest.raises(ValueError, match=r"^the output is torn$"):
        _complete_from(desk, claim, torn())
    assert desk.count("findings") == 0
    assert [row["state"] for row in desk.chunk_rows(scan)] == ["leased"]
    desk.complete(claim, found("10.0.0.1"))
    assert desk.count("findings") == 1


def test_one_finding_twice_in_a_chunk_is_refused_whole(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    claim = desk.must_claim()
    with pytest.raises(Conflict):
        desk.complete(claim, found("10.0.0.1"), found("10.0.0.1"))
    assert desk.count("findings") == 0
    assert [row["state"] for row in desk.chunk_rows(scan)] == ["leased"]


def test_deleting_a_scan_removes_everything_of_it_and_nothing_of_others(desk: Desk) -> None:
    tables = ("scans", "chunks", "attempts", "findings", "hosts", "inline_results", "idempotency_keys", "scan_targets")
    scans = [desk.submit("10.0.0.0/24", tool="nmap", key=f"key-{number}") for number in range(2)]
    for scan in scans:
        desk.complete(desk.must_claim(only_scan=scan.id), found("10.0.0.1"), HostFinding("10.0.0.1", "up", SEEN_AT))
        desk.run_to_end(scan)
    before = {table: desk.count(table) for table in tables}
    assert all(before.values())
    delete_scan(desk.open_ledger, scans[0].id, ADMIN)
    for table in tables:
        assert 0 < desk.count(table) < before[table], table
    delete_scan(desk.open_ledger, scans[1].id, ADMIN)
    assert {table: desk.count(table) for table in tables} == dict.fromkeys(tables, 0)
    assert desk.count("audit") > 0


def test_losing_the_server_in_the_middle_of_a_copy_is_an_outage_and_the_chunk_commits_afterwards(
    new_postgres_url: str, new_engine: Callable[[str], Engine], postgres: PostgresServer
) -> None:
    engine = new_engine(new_postgres_url)
    desk = Desk(open_ledger_on(engine), engine)
    scan = desk.submit("10.0.0.0/24")
    claim = desk.must_claim()

    def cut_off() -> Iterator[Finding]:
        for number in range(1, 30_000):
            if number == 20_000:
                postgres.restart()
            yield found("10.0.0.1", number)

    with pytest.raises(DependencyUnavailable):
        _complete_from(desk, claim, cut_off())
    assert _complete_from(desk, claim, (found("10.0.0.1", number) for number in range(1, 30_000))) == 29_999
    assert desk.count("findings") == 29_999
    assert (desk.show(scan).coverage.balances, desk.show(scan).coverage.remaining) == (True, 0)


def _complete_from(desk: Desk, claim: Claim, findings: Iterable[Found]) -> int:
    return complete_chunk(desk.open_ledger, claim, RunOutput(findings))

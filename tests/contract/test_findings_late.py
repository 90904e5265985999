"""What comes late, half, or twice into the search: an older observation never hides a newer one, in no order."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from cloudx.adapters.database.schema.search_tables import sightings
from cloudx.domain.diff.changes import LISTED, Change
from cloudx.domain.findings import Finding
from cloudx.domain.scans import Scan
from cloudx.services.chunks.finish import RunOutput, keep_stopped_chunk
from cloudx.services.scans.control import stop_scan
from cloudx.services.scans.diff import stream_diff
from cloudx.services.search.take_in import TakeIn
from fixtures.diffs import scanned, up
from fixtures.ledgers import ADMIN, SEEN_AT, Desk, found

from .test_findings_search import owners

PORT = ("10.0.0.1", 80)


def take_in(desk: Desk, **options: Any) -> None:
    assert TakeIn(desk.open_ledger, **options)()


def test_a_chunk_that_comes_late_is_behind_what_was_found_after_it(desk: Desk) -> None:
    desk.submit("10.0.0.1")
    late = desk.must_claim("slow")
    newer = scanned(desk, found("10.0.0.1"), targets="10.0.0.1")
    take_in(desk)
    desk.complete(late, found("10.0.0.1"))
    assert owners(desk) == {PORT: newer.id}
    assert owners(desk, scan_id=late.scan.id, latest=False) == {PORT: late.scan.id}


def test_a_chunk_that_comes_late_opens_nothing_that_was_proven_closed_after_it_was_seen(desk: Desk) -> None:
    desk.submit("10.0.0.0/30")
    late = desk.must_claim("slow")
    scanned(desk, targets="10.0.0.0/31")
    take_in(desk)
    seen_since = found("10.0.0.0", observed_at=datetime.now(UTC))  # after the other had begun: it may have opened since
    desk.complete(late, found("10.0.0.1"), found("10.0.0.2"), seen_since)
    assert set(owners(desk)) == {("10.0.0.0", 80), ("10.0.0.2", 80)}


def test_a_nodes_clock_that_is_off_makes_nothing_newer_than_it_is(desk: Desk) -> None:
    ahead = datetime(2030, 1, 1, tzinfo=UTC)
    scanned(desk, found("10.0.0.1", observed_at=ahead), found("10.0.0.2", observed_at=ahead))
    newer = scanned(desk, found("10.0.0.1"))
    assert owners(desk) == {PORT: newer.id}


def in_chunks(desk: Desk) -> Scan:
    """A scan of four chunks: 5 packets a second for 15 s each."""
    return desk.submit("10.0.0.0/24", rate_pps=5)


def test_of_a_stopped_scan_its_completed_chunks_count_and_its_findings_alone_of_the_others(desk: Desk) -> None:
    first = scanned(desk, *(found(f"10.0.0.{n}") for n in range(256)), targets="10.0.0.0/24")
    stopped = in_chunks(desk)
    done = desk.must_claim(only_scan=stopped.id)
    desk.complete(done)
    half = desk.must_claim(only_scan=stopped.id)
    again = next(iter(half.addresses))
    stop_scan(desk.open_ledger, stopped.id, ADMIN)
    assert keep_stopped_chunk(desk.open_ledger, half, RunOutput([found(str(again))]), 0.5) == 1
    left = owners(desk)
    assert {ip for ip, _ in left} == {f"10.0.0.{n}" for n in range(256)} - {str(one) for one in done.addresses}
    assert {ip for (ip, _), scan_id in left.items() if scan_id == stopped.id} == {str(again)}
    assert set(left.values()) == {first.id, stopped.id}


def test_a_chunk_of_which_a_part_was_left_out_closes_nothing(desk: Desk) -> None:
    first = scanned(desk, found("10.0.0.1"))
    second = desk.submit("10.0.0.0/28")
    desk.complete_without(desk.must_claim(only_scan=second.id), "10.0.0.9", "it was given up")
    assert owners(desk) == {PORT: first.id}


OTHERS: list[tuple[Finding, dict[str, Any], dict[str, Any], tuple[Any, ...]]] = [
    (found("10.0.0.1"), {}, {"tool": "nmap", "ports": "22,80"}, (up("10.0.0.1"),)),
    (found("10.0.0.1"), {}, {"tool": "nmap", "ports": "22,80"}, ()),  # the host was down, so it was sent nothing
    (found("10.0.0.1"), {}, {"tool": "zmap", "ports": "80"}, ()),
    (found("10.0.0.1"), {}, {"ports": "81-90"}, ()),
    (found("10.0.0.1"), {}, {"scan_type": "udp_scan"}, ()),
    (found("10.0.0.1", state="open|filtered"), {"tool": "nmap", "ports": "80"}, {}, ()),
    (found("10.0.0.1", 8888), {"tool": "nmap"}, {"tool": "nmap"}, (up("10.0.0.1"),)),
    (found("10.0.0.1", 8888), {"tool": "nmap"}, {"tool": "nmap", "scan_type": "quick"}, (up("10.0.0.1"),)),
    (found("10.0.0.1", 50), {"ports": "1-200"}, {"ports": "1-200"}, (found("10.0.0.0", 1, state="answers_all",
        extra={"prefix": "10.0.0.0/31", "probed_ports": "1-200"}),)),
]  # fmt: skip


@pytest.mark.parametrize(("finding", "first_request", "second_request", "second_findings"), OTHERS)
def test_a_port_leaves_where_a_diff_calls_it_closed_and_stays_where_it_does_not(
    desk: Desk, finding: Finding, first_request: Any, second_request: Any, second_findings: Any
) -> None:
    before = scanned(desk, finding, **first_request)
    after = scanned(desk, *second_findings, **second_request)
    changes = {item.key: item.change for item in stream_diff(desk.open_ledger, before.id, after.id, LISTED)[1]}
    is_closed = changes[finding.ip, finding.protocol, finding.port] is Change.CLOSED
    assert ((finding.ip, finding.port) not in owners(desk)) == is_closed


class Dies(Exception):
    """The process, at some moment."""


def test_whatever_dies_between_two_steps_the_next_round_has_the_same_answer(desk: Desk) -> None:
    scanned(desk, *(found(f"10.0.0.{n}") for n in range(8)))
    newer = scanned(desk, *(found(f"10.0.0.{n}") for n in range(5)))
    for steps in range(1, 40):
        left = steps

        @contextmanager
        def dying(**options: Any) -> Any:
            nonlocal left
            left -= 1
            with desk.open_ledger(**options) as ledger:
                yield ledger
                if left == 0:
                    raise Dies

        try:
            TakeIn(dying, window_rows=2)()
            break
        except Dies:
            assert_one_latest(desk)
    else:
        pytest.fail("it never came to an end")
    assert steps > 5
    assert owners(desk) == {(f"10.0.0.{n}", 80): newer.id for n in range(5)}
    assert desk.count("sightings") == 13


def assert_one_latest(desk: Desk) -> None:
    with desk.engine.connect() as connection:
        keys = connection.execute(select(*sightings.c["ip", "port"]).where(sightings.c.is_latest)).all()
    assert len(set(keys)) == len(keys)


def test_several_that_take_in_at_once_come_to_what_one_comes_to(desk: Desk) -> None:
    scanned(desk, *(found(f"10.0.0.{n}") for n in range(16)))
    newer = scanned(desk, *(found(f"10.0.0.{n}", observed_at=SEEN_AT) for n in range(9)))
    failures: list[BaseException] = []

    def take() -> None:
        try:
            for _ in range(20):
                TakeIn(desk.open_ledger, window_rows=3)()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert owners(desk) == {(f"10.0.0.{n}", 80): newer.id for n in range(9)}
    assert desk.count("sightings") == 25

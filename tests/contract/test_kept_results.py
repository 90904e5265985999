"""What was found stands beside a scan from the moment that it is over, on both databases."""

from __future__ import annotations

import json

from sqlalchemy import text, update

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.tables import scans
from cloudx.domain.findings import HostFinding
from cloudx.services.chunks.finish import RunOutput, keep_stopped_chunk, release_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.results.keep import read_results
from cloudx.services.scans.control import stop_scan
from cloudx.services.scans.results import stream_findings
from cloudx.services.scans.view import get_scan, list_scans
from fixtures.ledgers import ADMIN, SEEN_AT, Desk, found


def kept(desk: Desk, scan_id: str) -> object:
    """The document beside a scan, None while there is none."""
    with desk.open_ledger(read_only=True) as ledger:
        results = read_results(ledger, [scan_id]).get(scan_id)
        sizes = ledger.scans.results_sizes([scan_id])
    assert sizes == ({} if results is None else {scan_id: results.size})
    return None if results is None else json.loads(results.json or b"null")


def test_the_transaction_that_completes_a_scan_keeps_its_results(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1", tool="nmap")
    claim = desk.must_claim()
    assert kept(desk, scan.id) is None
    desk.complete(claim, found("10.0.0.1"), HostFinding("10.0.0.1", "up", SEEN_AT))
    document = kept(desk, scan.id)
    assert document["nmaprun"]["host"][0]["address"]["addr"] == "10.0.0.1"  # type: ignore[index]


def test_a_stopped_scans_results_are_kept_once_its_last_run_is_back(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24", rate_pps=10)
    first = desk.must_claim()
    desk.complete(first, found(str(next(iter(first.addresses)))))
    second = desk.must_claim()
    stop_scan(desk.open_ledger, scan.id, ADMIN)
    assert kept(desk, scan.id) is None, "a run of it may still commit"
    release_chunk(desk.open_ledger, second)
    assert len(kept(desk, scan.id)["hosts"]) == 1  # type: ignore[index]


def test_what_a_stopped_run_had_found_is_in_the_kept_results_and_its_chunk_is_not_done(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24", rate_pps=10)
    claim = desk.must_claim()
    stop_scan(desk.open_ledger, scan.id, ADMIN)
    assert keep_stopped_chunk(desk.open_ledger, claim, RunOutput([found("10.0.0.1")], packets_sent=7), 0.25) == 1
    assert [host["host"] for host in kept(desk, scan.id)["hosts"]] == ["10.0.0.1"]  # type: ignore[index]
    view = get_scan(desk.open_ledger, scan.id)
    assert (view.coverage.completed, view.coverage.not_reached, view.packets_sent) == (0, 256, 7)
    (chunk,) = [row for row in desk.chunk_rows(scan) if row["sent_share"]]
    assert (chunk["state"], chunk["sent_share"]) == ("cancelled", 0.25)


def test_a_run_of_a_scan_that_goes_on_keeps_nothing_by_halves(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24", rate_pps=10)
    claim = desk.must_claim()
    assert keep_stopped_chunk(desk.open_ledger, claim, RunOutput([found("10.0.0.1")]), 0.25) is None
    assert list(stream_findings(desk.open_ledger, scan.id)) == []


def test_a_scan_over_its_budget_is_stopped_and_one_within_it_is_not(desk: Desk) -> None:
    over, within = desk.submit("10.0.0.0/24", budget_seconds=60), desk.submit("10.0.1.0/24", budget_seconds=3600)
    for scan in (over, within):
        release_chunk(desk.open_ledger, desk.must_claim(only_scan=scan.id))
    with desk.engine.begin() as connection:
        connection.execute(update(scans).values(started_at=db_now(-120)))
    reconcile_scans(desk.open_ledger)
    assert [get_scan(desk.open_ledger, scan.id).scan.status for scan in (over, within)] == ["stopped", "running"]
    assert "budget of 60 s" in (get_scan(desk.open_ledger, over.id).scan.error or "")
    assert kept(desk, over.id) == {"hosts": []}


def test_what_a_run_commits_after_the_stop_is_in_the_kept_results(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24", rate_pps=10)
    claim = desk.must_claim()
    stop_scan(desk.open_ledger, scan.id, ADMIN)
    desk.complete(claim, found("10.0.0.1"))
    assert [host["host"] for host in kept(desk, scan.id)["hosts"]] == ["10.0.0.1"]  # type: ignore[index]


def test_the_scan_of_a_worker_that_died_has_its_results_too(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    desk.complete(desk.must_claim(), found("10.0.0.1"))
    with desk.engine.begin() as connection:  # as if the worker had died between its commit and the scan's end
        connection.execute(text("UPDATE scans SET status = 'running', finished_at = NULL"))
        connection.execute(text("DELETE FROM inline_results"))
    reconcile_scans(desk.open_ledger)
    assert len(kept(desk, scan.id)["hosts"]) == 1  # type: ignore[index]


def test_a_list_reads_no_addresses_ports_or_names(desk: Desk) -> None:
    scans = [desk.submit("10.0.0.0/24", ports="80,443", exclude=("10.0.0.9",)) for _ in range(3)]
    with desk.engine.begin() as connection:
        connection.execute(text("UPDATE scan_targets SET addresses = 'none', ports = 'none', host_names = 'none'"))
    page = list_scans(desk.open_ledger, limit=2, before_id=None, status=None, tool=None)
    assert [view.scan.id for view in page.views] == [scan.id for scan in scans[:0:-1]]
    assert (page.total, page.next_before_id) == (3, scans[1].id)
    assert {(view.coverage.planned, view.coverage.excluded) for view in page.views} == {(512, 2)}

"""Several workers at once on a scan of two stages: each open port is queued and served once."""

from __future__ import annotations

from functools import partial

from cloudx.domain.scans import ScanStatus
from cloudx.services.chunks.finish import release_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.scans.second_stage import Then
from cloudx.services.scans.view import get_scan
from contract.test_concurrent_workers import run_at_once
from fixtures.ledgers import Desk, found


def test_workers_at_once_queue_and_serve_each_open_port_once_while_leases_are_taken_back(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/22", ports="80", rate_pps=4, then=Then("nmap", "default"))
    assert len(desk.chunk_rows(scan)) > 10

    def work(number: int) -> None:
        mine = Desk(desk.open_ledger, desk.engine, node_id=None)
        for turn in range(400):
            claim = mine.claim(f"w{number}", f"n{number}")
            if claim is None:
                if get_scan(desk.open_ledger, scan.id).scan.status.is_final:
                    return
                reconcile_scans(desk.open_ledger)
                continue
            if turn % 5 == 4:
                release_chunk(desk.open_ledger, claim)
            elif claim.scan.follows is None:
                mine.complete(claim, *(found(str(ip), 80) for ip in claim.addresses))
            else:
                mine.complete(claim, *(found(str(ip), 80, service="http") for ip in claim.addresses))

    run_at_once(*(partial(work, number) for number in range(4)))
    assert desk.show(scan).scan.status is ScanStatus.COMPLETED
    second = desk.show(scan).stages[1].coverage
    assert (second.planned, second.completed, second.remaining) == (1024, 1024, 0)
    with desk.open_ledger(read_only=True) as ledger:
        rows = ledger.findings.page(scan.id, None, 2000)
    assert {(row.port, row.service) for row in rows} == {(80, "http")}
    assert len(rows) == 1024

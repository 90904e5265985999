"""Split the chunks that keep a scan waiting at its end, so that idle workers can share them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from cloudx.domain.nodes import Node, fit_nodes
from cloudx.domain.planning.stragglers import Running, Spare, Split, choose_split, choose_splits
from cloudx.domain.tools import ScanType
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.ledger.splits import ExhaustedScan


def split_stragglers(open_ledger: OpenLedger) -> int:
    """Split the slowest chunk of each scan with nothing left to claim, where that helps; returns how many.

    Safe to run anywhere, at any time, by many at once: each chunk is split by one of them.
    """
    with open_ledger(read_only=True) as ledger:
        decisions = list(_decisions(ledger))
    count = 0
    for scan_id, split in decisions:
        with open_ledger() as ledger:
            if ledger.splits.revoke_and_split(scan_id, split):
                ledger.dispatches.notify()
                ledger.commit()
                count += 1
    return count


def split_returned(ledger: Ledger, scan_id: str, gone: Collection[str]) -> None:
    """Split returned chunks of a scan with nothing else to claim; `gone` are the nodes that lost them.

    Belongs in the transaction that returns them, so that no worker has claimed them whole yet.
    """
    returned = ledger.splits.returned(scan_id)
    record = ledger.scans.get(scan_id) if returned else None
    if record is None:
        return
    scan, running = record.scan, ledger.splits.running(scan_id)
    idle = [node for node in _idle(ledger, scan.type) if node.node_id not in gone]
    idle = _within_cap(idle, running, scan.max_workers)
    free_pps = scan.rate_pps - sum(chunk.rate_pps for chunk in running)
    can_pps = sum(scan.rate_pps if node.rate_limit_pps is None else node.rate_limit_pps for node in idle)
    for parts in choose_splits(returned, scan.type, Spare(len(idle), max(0, min(free_pps, can_pps)))):
        ledger.splits.cut_pending(scan_id, parts)


def _decisions(ledger: Ledger) -> Iterator[tuple[str, Split]]:
    taken: set[str] = set()  # by a scan of higher priority
    for scan in ledger.splits.exhausted():
        idle = [node for node in _idle(ledger, scan.type) if node.node_id not in taken]
        split = _decision(ledger, scan, idle) if idle else None
        if split is not None:
            taken |= {node.node_id for node in idle[: len(split.parts)]}
            yield scan.id, split


def _decision(ledger: Ledger, scan: ExhaustedScan, idle: Sequence[Node]) -> Split | None:
    running = ledger.splits.running(scan.id)
    limits = [node.rate_limit_pps for node in _within_cap(idle, running, scan.max_workers)]
    return choose_split(running, scan.type, limits, scan.rate_pps)


def _idle(ledger: Ledger, scan_type: ScanType) -> list[Node]:
    """Fit nodes that send for no scan. A node whose heartbeat is late may be dead and is left out."""
    now, working = ledger.now(), ledger.splits.working_nodes()
    fit = fit_nodes(ledger.nodes.all(), scan_type, now)
    return [node for node in fit if node.node_id not in working and not node.is_stale(now)]


def _within_cap(idle: Sequence[Node], running: Sequence[Running], max_workers: int | None) -> list[Node]:
    """As many idle nodes as the scan may still use."""
    if max_workers is None:
        return list(idle)
    return list(idle[: max(0, max_workers - len({chunk.node_id for chunk in running}))])

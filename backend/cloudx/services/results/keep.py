"""Keep the inline results of a scan once nothing can be added to them, so that a list of scans reads them at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from cloudx.domain.chunks import Lease
from cloudx.domain.errors import CloudxError, Conflict, DependencyUnavailable
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.ledger.records import KeptResults, ShownScan

from .document import ResultsDocument, make_document, pack, unpack
from .inline import read_inline


def build_results(open_ledger: OpenLedger, scan: ShownScan, is_over: bool) -> ResultsDocument:
    """What was found until now; no document while that is nothing and the scan is not over."""
    findings = read_inline(open_ledger, scan, is_over)
    return ResultsDocument(None) if findings is None else make_document(scan.tool, findings)


def packed(results: ResultsDocument) -> KeptResults:
    """The document as it is kept."""
    json = results.json or b"null"
    return KeptResults(pack(json), len(json), results.truncated)


def read_results(ledger: Ledger, scan_ids: Sequence[str]) -> dict[str, ResultsDocument]:
    """The documents that are kept, by scan."""
    kept = ledger.scans.kept_results(scan_ids)
    return {scan_id: ResultsDocument(unpack(one.packed), one.truncated) for scan_id, one in kept.items()}


def keep_results(open_ledger: OpenLedger, scan_id: str, results: ResultsDocument, lease: Lease | None = None) -> None:
    """Keep the document of a scan that is over, for every process, until the scan is deleted.

    It can be made again: when the database is busy, another process was first or the scan is gone, nothing is kept.
    """
    with suppress(DependencyUnavailable, Conflict), open_ledger() as ledger:
        if ledger.scans.keep_results(scan_id, packed(results), lease):
            ledger.commit()


def keep_results_if_settled(open_ledger: OpenLedger, scan_id: str, lease: Lease | None = None) -> None:
    """Keep them now if the scan is over and no run of it is left: after a stop, and after the last run that it ended.

    A worker names the `lease` that it settled. What could not be kept is made by the first request for it.
    """
    with suppress(CloudxError):
        with open_ledger(read_only=True) as ledger:
            scan = ledger.scans.summary(scan_id) if ledger.scans.lacks_results(scan_id) else None
        if scan is not None:
            keep_results(open_ledger, scan_id, build_results(open_ledger, scan, is_over=True), lease)

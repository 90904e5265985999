"""The second stage of a scan: what the first finds open is queued for it in the transaction that finishes the chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields

from cloudx.domain.findings import Finding, Found
from cloudx.domain.stages.follow_ups import OpenPorts, follow_ups
from cloudx.domain.tools import SCAN_TYPES, Tool
from cloudx.services.ledger.ledger import Ledger
from cloudx.services.ledger.records import Tally

from .claim import Claim

SHOWN_LEFT_OUT = 3


def store_findings(ledger: Ledger, claim: Claim, findings: Iterable[Found], *, follows: bool = True) -> int:
    """Store what a chunk found, and queue what follows; returns how many findings.

    One transaction with the chunk's end, so that each open port is queued exactly once, whatever dies. Of a second
    stage they take the place of what the first found.
    """
    scan, lease = claim.scan, claim.lease
    if scan.follows is not None:
        return ledger.stages.replace_findings(lease, scan.follows, _with_first_word(findings))
    if scan.followed_by is None or scan.then_type is None or not follows:
        return ledger.findings.store(lease, findings)
    open_ports = OpenPorts()
    stored = ledger.findings.store(lease, open_ports.passing(findings))
    following = follow_ups(open_ports, SCAN_TYPES[Tool.NMAP, scan.then_type])
    left_out = following.left_out
    if (following.parts or left_out) and ledger.stages.add(
        lease, scan.followed_by, following.parts, _warning(left_out.texts()) if left_out else None
    ):
        ledger.dispatches.notify()
    return stored


def whole_tally(ledger: Ledger, scan_id: str) -> Tally:
    """The sums of all stages of a scan."""
    tallies = [ledger.scans.tally(stage) for stage in stages_of(ledger, scan_id)]
    return tallies[0] if len(tallies) == 1 else added(*tallies)


def added(first: Tally, second: Tally) -> Tally:
    """The sums of both."""
    names = [field.name for field in fields(Tally)]
    return Tally(**{name: getattr(first, name) + getattr(second, name) for name in names})


def stages_of(ledger: Ledger, scan_id: str) -> list[str]:
    """The ids of its stages, the first one first."""
    summary = ledger.scans.summary(scan_id)
    second = summary.followed_by if summary else None
    return [scan_id, second] if second else [scan_id]


def unprobed_of(ledger: Ledger, scan_id: str, limit: int) -> list[tuple[int, str]]:
    """(failed units, reason) of done chunks of all stages of which a part was not probed."""
    found = [one for stage in stages_of(ledger, scan_id) for one in ledger.chunks.unprobed(stage, limit)]
    return found[:limit]


def first_error_of(ledger: Ledger, scan_id: str) -> str | None:
    """The last words of the first failed chunk of the first stage that has one."""
    return next(filter(None, (ledger.chunks.first_error(stage) for stage in stages_of(ledger, scan_id))), None)


def _with_first_word(findings: Iterable[Found]) -> Iterator[Found]:
    """A port that nmap finds shut keeps that the first stage has found it open."""
    for one in findings:
        if isinstance(one, Finding) and one.state != "open":
            extra: Mapping[str, object] = {**one.extra, "first_stage": "open"}
            yield one._replace(extra=extra)
        else:
            yield one


def _warning(left_out: list[str]) -> str:
    more = f" and {len(left_out) - SHOWN_LEFT_OUT:,} more" if len(left_out) > SHOWN_LEFT_OUT else ""
    shown = ", ".join(left_out[:SHOWN_LEFT_OUT])
    return (
        f"{shown}{more} answered on so many ports that nmap was not sent after them: they look like tar pits. "
        "Scan them with nmap alone to be sure."
    )

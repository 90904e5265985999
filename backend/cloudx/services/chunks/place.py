"""Place a chunk: masscan and zmap send to one next hop a run, and what one node cannot send to, another may route."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import ChunkSpan, refusal_of
from cloudx.domain.coverage import Unprobed
from cloudx.domain.errors import LeaseLost
from cloudx.domain.nodes import Node, fit_nodes
from cloudx.services.ledger.ledger import Ledger, OpenLedger

from .claim import Claim
from .finish import finish_scan_if_done
from .scanner_port import Egress, Way

MAX_PARTS = 64  # of one cut; the last holds the rest, and is cut again when it is claimed


def place_chunk(open_ledger: OpenLedger, claim: Claim, ways: Sequence[Way]) -> Egress | None:
    """The egress of a chunk that leaves this machine by one way; None when the chunk went back to the queue.

    A chunk of several ways is cut into one for each. One that this node cannot send to is left to the nodes that may;
    where there is none it is failed by itself, with the reason. Raises LeaseLost.
    """
    if len(ways) > 1:
        _cut(open_ledger, claim, ways)
        return None
    if ways[0].egress is None:
        _refuse(open_ledger, claim, ways[0].why_not)
    return ways[0].egress


def _cut(open_ledger: OpenLedger, claim: Claim, ways: Sequence[Way]) -> None:
    parts = list(parts_of(claim.lease.span, claim.scan.addresses, [way.addresses for way in ways]))
    with open_ledger() as ledger:
        if not ledger.splits.cut_held(claim.lease, parts):
            raise LeaseLost(f"Chunk {claim.lease.span.number} of scan {claim.lease.scan_id}: the lease is gone.")
        ledger.commit()


def parts_of(span: ChunkSpan, addresses: AddressSet, ways: Sequence[AddressSet]) -> Iterator[ChunkSpan]:
    """Disjoint spans that make up this one, each of one way where MAX_PARTS allows; all have its number.

    `addresses` are the scan's. Those of the span that are in no way (excluded since) go with the ones before them.
    """
    starts = sorted(
        (offset, number)
        for number, way in enumerate(ways)
        for first, _ in way.ranges
        if (offset := addresses.index_of_key(first)) is not None
    )
    cuts = [offset for (_, before), (offset, way) in pairwise(starts) if way != before]
    edges = [span.address_start, *cuts[: MAX_PARTS - 1], span.address_start + span.address_count]
    for start, end in pairwise(edges):
        yield replace(span, address_start=start, address_count=end - start)


def _refuse(open_ledger: OpenLedger, claim: Claim, reason: str) -> None:
    lease = claim.lease
    with open_ledger() as ledger:
        known = ledger.chunks.failures_of(lease)
        if known is None:
            raise LeaseLost(f"Chunk {lease.span.number} of scan {lease.scan_id}: the lease is gone.")
        refusals = {*known[1], refusal_of(lease.node_id)}
        if _others(ledger, claim, refusals):
            ledger.chunks.refuse(lease, sorted(refusals))
        else:
            ledger.chunks.finish(lease, claim.excluded_units, Unprobed(claim.addresses, reason))
        ledger.commit()
    finish_scan_if_done(open_ledger, claim.scan.public_id, lease)


def _others(ledger: Ledger, claim: Claim, refusals: set[str]) -> list[Node]:
    """Fit nodes that may be able to send to the chunk's addresses."""
    fit = fit_nodes(ledger.nodes.all(), claim.scan.type, ledger.now())
    return [node for node in fit if refusal_of(node.node_id) not in refusals and not _is_blocked(node, claim.addresses)]


def _is_blocked(node: Node, addresses: AddressSet) -> bool:
    return node.reach is not None and node.reach.blocked(addresses) == addresses

"""How a scan's rate is shared by unequal nodes, and a node's by scans of unequal priority.

A scan's rate holds over the fleet, a node's limit over all its scans (grants.py keeps both sums). Within them:
a node that cannot send its equal share leaves the rest to the others; a scan of higher priority is served first, and
one of lower priority takes what that leaves; equals take turns (turns.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cloudx.domain.tools import UNBOUNDED_PPS, ScanType

from .grants import share_pps, usable_pps


def level_pps(rate_pps: int, limits_pps: Sequence[int | None]) -> int:
    """The share of each node that can send that much; the others send all they can. A limit of None is unknown.

    With it, Σ min(limit, level) is the whole rate, or all that the nodes can send.
    """
    left, share = rate_pps, rate_pps
    rising = sorted(rate_pps if limit is None else limit for limit in limits_pps)
    for place, limit in enumerate(rising):
        share = left // (len(rising) - place)
        if limit >= share:
            break
        left -= limit
    return max(1, share)


def chunk_share_pps(scan_type: ScanType, rate_pps: int, limits_pps: Sequence[int | None], chunks_open: int) -> int:
    """What one chunk should get of a scan's rate; `limits_pps` has what each of its nodes may send."""
    equal = share_pps(scan_type.runs_per_node, rate_pps, len(limits_pps), chunks_open)
    return max(equal, level_pps(rate_pps, limits_pps) // scan_type.runs_per_node)


def runs_abreast(scan_type: ScanType, nodes: int, chunks_open: int) -> int:
    """Runs of a scan that go on side by side on one of its nodes."""
    return max(1, min(scan_type.runs_per_node, -(-chunks_open // max(1, nodes))))


@dataclass(frozen=True)
class Want:
    """What a scan that goes first still wants of a node: its share there, less what it has, within its own rate."""

    share_pps: int
    granted_here_pps: int
    free_pps: int  # of the scan's rate

    @property
    def pps(self) -> int:
        """Never negative."""
        return max(0, min(self.share_pps - self.granted_here_pps, self.free_pps))


def room_pps(limit_pps: int, goes_first: Iterable[Want]) -> int:
    """A node's limit as scans of lower priority see it: what those that go first still want there is kept for them.

    What is granted already is not taken back: it ends with its chunk, seconds later.
    """
    return max(0, limit_pps - sum(want.pps for want in goes_first))


def share_beside(share_pps: int, limit_pps: int, goes_first: Iterable[Want]) -> int:
    """The share of a scan on a node where others go first: what they leave of its limit, unless that is only a sliver.

    Else the whole share, for which it waits: a chunk planned for 15 s lasts for a minute at most.
    """
    left_pps = limit_pps - sum(want.granted_here_pps + want.pps for want in goes_first)
    return left_pps if share_pps > left_pps >= share_pps / 4 else share_pps


def sendable_pps(rate_pps: int, limits_pps: Sequence[int | None], max_workers: int | None = None) -> int:
    """What of a scan's rate its nodes can send, the fastest of them where only so many take part."""
    if not limits_pps or any(limit is None for limit in limits_pps):
        return rate_pps
    fastest = sorted((limit for limit in limits_pps if limit is not None), reverse=True)[:max_workers]
    return max(1, min(rate_pps, sum(usable_pps(limit) for limit in fastest)))


def why_slower(rate_pps: int, limits_pps: Sequence[int | None], max_workers: int | None = None) -> str | None:
    """Why a long scan runs below its rate: its nodes send less together. None if they can send all of it."""
    can_pps = sendable_pps(rate_pps, limits_pps, max_workers)
    if rate_pps >= UNBOUNDED_PPS or can_pps >= rate_pps:
        return None
    nodes = len(limits_pps[:max_workers])
    senders = "The node that can run it sends" if nodes == 1 else f"The {nodes} nodes for it send"
    remedy = "raise its max_workers" if nodes < len(limits_pps) else "add nodes"
    return (
        f"{senders} at most {can_pps:,} packets per second (a sixteenth of a node's limit is kept for small "
        f"scans), so it runs at that and not at the {rate_pps:,} asked for; "
        f"{remedy} to reach them."
    )

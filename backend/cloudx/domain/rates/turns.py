"""Whose turn it is on a node, and how much of the node one scan may hold while others wait (docs/adr/0023).

Within one priority, users share a node equally, and a user's scans share what is the user's: max-min fairness, where
nobody's share can grow but at the cost of a smaller one (Bertsekas and Gallager, Data Networks, section 6.5.2).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .grants import reserve_pps, usable_pps
from .shares import level_pps

SOON_SECONDS = 5.0
NEWCOMERS = 8  # for whom something stays free of what quick scans share
QUICK_SECONDS = 60.0  # a scan that the reserve sends within them is quick; a run of it is never planned for longer


@dataclass(frozen=True)
class Contender:
    """A scan that has a chunk for a node: what it could use there, what it has there, and when it got that last."""

    scan_id: str
    owner: str
    wants_pps: float
    held_pps: int = 0
    served_at: float = -math.inf  # seconds since the epoch, by the ledger's clock


def in_turn(contenders: Iterable[Contender]) -> list[Contender]:
    """Who is served first: of the users the one who holds least, then who waits longest; so too of a user's scans."""
    by_owner: dict[str, list[Contender]] = defaultdict(list)
    for one in contenders:
        by_owner[one.owner].append(one)
    standing = {
        owner: (sum(one.held_pps for one in own), max(one.served_at for one in own)) for owner, own in by_owner.items()
    }
    return sorted(
        (one for own in by_owner.values() for one in own),
        key=lambda one: (standing[one.owner], one.held_pps, one.served_at, one.scan_id),
    )


def fair_pps(limit_pps: int, contenders: Sequence[Contender], scan_id: str) -> int:
    """The most that a scan among these may hold of a node's limit; what one cannot use is shared by the others."""
    by_owner: dict[str, list[int]] = defaultdict(list)
    for one in contenders:
        by_owner[one.owner].append(math.ceil(min(limit_pps, one.wants_pps)))
    (mine,) = (one for one in contenders if one.scan_id == scan_id)
    users_part = level_pps(limit_pps, [sum(wants) for wants in by_owner.values()])
    return level_pps(users_part, by_owner[mine.owner])


def is_quick(probes: float, limit_pps: int) -> bool:
    """Whether a scan of so many probes is over soon even if the reserve is all that it gets."""
    return probes <= reserve_pps(limit_pps) * QUICK_SECONDS


def usable_by(probes: float, limit_pps: int) -> int:
    """What a scan of so many probes may use of a node's limit: all of it, or all but the reserve."""
    return limit_pps if is_quick(probes, limit_pps) else usable_pps(limit_pps)


def soon_pps(probes: float) -> float:
    """The most that a scan of so many probes needs on one node: with it, it is over in a moment."""
    return max(1.0, probes / SOON_SECONDS)


def least_pps(probes: int) -> int:
    """The rate below which a run of so many probes would not be quick."""
    return math.ceil(probes / QUICK_SECONDS)


def quick_share_pps(share_pps: int, probes: int, free_pps: int, waiting: int) -> int:
    """The rate for a run of so many probes of a quick scan, when `waiting` scans have nothing yet; 0: it must wait.

    Where less is free than they could use, each gets its part, and parts are left for those who come next. It may be
    a sliver of the share: so few probes are sent soon at any such rate.
    """
    if share_pps * waiting > free_pps:
        share_pps = min(share_pps, max(least_pps(probes), free_pps // (waiting + NEWCOMERS)))
    return share_pps if share_pps <= free_pps else 0

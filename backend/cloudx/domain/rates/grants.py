"""Rate grants: how a scan's packets per second are shared out, and never exceeded."""

from __future__ import annotations

RESERVED = 16  # 1/16 of a node's limit is kept for scans that are soon over: the others' grants end with their chunks
SLIVER = 16  # a run at less than 1/16 of its share would hold its hosts for hours


def share_pps(runs_per_node: int, scan_rate_pps: int, workers: int, chunks_open: int) -> int:
    """What one chunk should get of a scan's rate; slightly stale numbers are good enough."""
    return max(1, scan_rate_pps // max(1, min(workers * runs_per_node, chunks_open)))


def unasked_share_pps(node_limit_pps: int, node_free_pps: int, runs: int, least_pps: int = 0) -> int:
    """What one chunk should get of a node's limit, of a scan for which no rate was asked; `runs` go on side by side.

    Nobody asked for the whole of it: a share stays free, and of what others left no more than half is taken, so that
    the next scan can begin beside it. 0 where only a sliver would be left, or less than the run takes in any case.
    """
    if least_pps > node_free_pps:
        return 0
    fair = max(1, node_limit_pps // (runs + 1))
    share = max(least_pps, min(fair, max(0, node_free_pps + 1) // 2))
    return share if share * SLIVER >= fair else 0


def grant_pps(share: int, node_limit_pps: int, scan_free_pps: int, node_free_pps: int) -> int:
    """The rate for one more chunk; 0 when it must wait.

    Keeps both sums within their limits: what is granted of the scan's rate and of the node's limit. The node's limit
    bounds the share too: a scan with a rate above every node's limit must still run.
    """
    return clamp_pps(min(share, node_limit_pps), min(scan_free_pps, node_free_pps))


def clamp_pps(share: int, free: int) -> int:
    """What is granted of a share when `free` is left: decided under lock, so that the sums hold.

    PostgreSQL does it by its function cloudx_clamp_pps, which a contract test holds equal to this.
    """
    if free >= share:
        return share
    # A sliver would make a chunk planned for 15 s last for minutes: wait for a real share instead.
    return free if free * 2 >= share and free > 0 else 0


def usable_pps(limit_pps: int) -> int:
    """What a scan may use of a node's limit that is not soon over: all but the reserve."""
    return limit_pps - reserve_pps(limit_pps)


def reserve_pps(limit_pps: int) -> int:
    """What of a node's limit only a scan may use that is soon over (domain/rates/turns.py)."""
    return limit_pps // RESERVED

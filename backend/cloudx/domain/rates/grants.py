"""Rate grants: how a scan's packets per second are shared out, and never exceeded."""

from __future__ import annotations

from cloudx.domain.tools import Tool

NMAP_RUNS_PER_NODE = 4  # nmap waits more than it sends; one process leaves a node idle


def share_pps(tool: Tool, scan_rate_pps: int, workers: int, chunks_open: int) -> int:
    """What one chunk should get of a scan's rate; slightly stale numbers are good enough."""
    slots = workers * (NMAP_RUNS_PER_NODE if tool is Tool.NMAP else 1)
    return max(1, scan_rate_pps // max(1, min(slots, chunks_open)))


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

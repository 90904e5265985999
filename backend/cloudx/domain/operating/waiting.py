"""Why a scan of which nothing runs waits, as one word that can be counted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PATIENCE_SECONDS = 1.0  # a worker without work looks for some twice a second
FULL_SHARE = 0.5  # of what the fit nodes may send: with more granted to others, they are why it waits


class WaitReason(StrEnum):
    """The first that holds, in this order."""

    HELD = "held"  # it is paused, or outside of its hours
    NO_NODE = "no_node"  # no live node can run it
    NOMAD = "nomad"  # its worker has no room, cannot start, or ended at once; the scan's waiting_reason says which
    BACK_OFF = "back_off"  # every chunk left has failed a moment ago, and is tried again in seconds
    TURN = "turn"  # the nodes send for other scans
    WORKER = "worker"  # nodes can run it, and no worker has taken a chunk: are their workers running?


@dataclass(frozen=True)
class Waiting:
    """What is known of a scan that is not over; rates in packets per second."""

    age_seconds: float
    chunks_pending: int
    chunks_leased: int
    is_held: bool
    fit_nodes: int
    is_held_by_nomad: bool
    is_backing_off: bool
    granted_to_others_pps: int
    nodes_may_send_pps: int


def wait_reason(scan: Waiting) -> WaitReason | None:
    """None where it runs, where nothing of it is left to claim, or where it has only just come."""
    if not scan.chunks_pending or scan.chunks_leased or scan.age_seconds < PATIENCE_SECONDS:
        return None
    if scan.is_held:
        return WaitReason.HELD
    if not scan.fit_nodes:
        return WaitReason.NO_NODE
    if scan.is_held_by_nomad:
        return WaitReason.NOMAD
    if scan.is_backing_off:
        return WaitReason.BACK_OFF
    is_full = 0 < scan.nodes_may_send_pps * FULL_SHARE <= scan.granted_to_others_pps
    return WaitReason.TURN if is_full else WaitReason.WORKER

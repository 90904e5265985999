"""How often a probe is tried, how long an answer is waited for, and what that cannot promise."""

from __future__ import annotations

from dataclasses import dataclass

from cloudx.domain.scans import Scan
from cloudx.domain.tools import Tool

MAX_RETRIES = 5
# After a run's last probe: five times the round trip by a satellite in its high orbit.
REPLY_WAIT_SECONDS = {Tool.MASSCAN: 3.0, Tool.ZMAP: 3.0}
# nmap's own at -T4 (nmap's manual, "Timing and Performance"): --max-retries 6, --max-rtt-timeout 1250ms.
_NMAP_RETRIES = 6
_NMAP_WAIT_SECONDS = 1.25


@dataclass(frozen=True)
class Assumes:
    """What a completed probe rests on: an answer that comes later, or of which every try was lost, is not seen."""

    tries: int  # of a probe that is not answered, the first included; at least
    wait_seconds: float  # for the answer


def assumes(scan: Scan) -> Assumes:
    """What the scan's coverage rests on."""
    if scan.tool is Tool.NMAP:
        return Assumes(1 + (_NMAP_RETRIES if scan.retries is None else scan.retries), _NMAP_WAIT_SECONDS)
    return Assumes(tries_of(scan), REPLY_WAIT_SECONDS[scan.tool])


def tries_of(scan: Scan, *, replies_get_lost: bool = False) -> int:
    """How often a run sends a probe that is not answered. nmap repeats its probes itself.

    `replies_get_lost`: the node's interface has segmentation offloads on, with which masscan's receive ring holds 31
    packets and overflows; a second try finds most of the replies.
    """
    if scan.tool is Tool.NMAP:
        return 1
    if scan.retries is not None:
        return 1 + scan.retries
    return 2 if scan.tool is Tool.MASSCAN and replies_get_lost else 1

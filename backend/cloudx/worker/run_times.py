"""The clocks and limits of a run."""

from __future__ import annotations

import time

from cloudx.domain.planning.durations import nmap_limit_seconds, ports_of_a_host
from cloudx.domain.tools import Tool
from cloudx.services.chunks.claim import Claim


def lease_clock() -> float:
    """Seconds that go on while the machine sleeps, as a lease does."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def pause_seconds(ends_at: float | None, start_seconds: float) -> float:
    """Until it is worth looking again."""
    return 0.05 if ends_at is None else min(0.05, max(0.001, ends_at - start_seconds - time.monotonic()))


def limit_seconds(claim: Claim) -> float:
    """How long a run may take before it counts as hung."""
    if claim.scan.tool is Tool.NMAP:
        port_count = ports_of_a_host(claim.scan.type, claim.ports)
        return nmap_limit_seconds(claim.scan, claim.addresses.size, port_count, claim.lease.rate_pps)
    sending_seconds = claim.units / max(1, claim.lease.rate_pps)
    return 60.0 + 4 * sending_seconds  # retries, slow starts and the wait for late replies

"""How large a request's body may be, by its route: to read one takes the event loop from everybody else."""

from __future__ import annotations

from flask import Flask, request

from cloudx.domain.errors import TooLarge
from cloudx.domain.tools import Tool

SMALL_BYTES = 16 << 10
NODE_BYTES = 64 << 10  # a registration with 512 ranges of reach and its checks is under 40 KB
POLICY_BYTES = 2 << 20  # 10,000 targets
LIST_BYTES = 8 << 20  # enough for 100,000 targets
# By the route's endpoint; every other one is small.
LIMITS = {
    "nodes.register": NODE_BYTES,
    "nodes.heartbeat": NODE_BYTES,
    "scans.submit": LIST_BYTES,
    "lists.create_list": LIST_BYTES,
    "scans.plan": LIST_BYTES,
    "schedules.create_schedule": POLICY_BYTES,
    "schedules.change_schedule": POLICY_BYTES,
    "scopes.create_scope": POLICY_BYTES,
    "exclusions.create_exclusion": POLICY_BYTES,
}
# masscan and zmap take IPv4 alone: 100,000 of the longest ranges are 3.4 MB. nmap takes IPv6 and names.
SCAN_BYTES = {Tool.NMAP.value: LIST_BYTES, Tool.MASSCAN.value: LIST_BYTES // 2, Tool.ZMAP.value: LIST_BYTES // 2}


def limit_bodies(app: Flask) -> None:
    """Bound each request's body. Call it after enforce_access: whoever may not call gets nothing read."""

    @app.before_request
    def bound() -> None:
        request.max_content_length = LIMITS.get(request.endpoint or "", SMALL_BYTES)
        _refuse_over(request.max_content_length, request.content_length or 0)


def require_scan_fits(tool: str) -> None:
    """Raise TooLarge where the body is larger than a scan by this tool needs."""
    _refuse_over(SCAN_BYTES.get(tool, SMALL_BYTES), len(request.get_data()))


def _refuse_over(limit_bytes: int, size: int) -> None:
    if size > limit_bytes:
        raise TooLarge(
            f"The body is too large: this call takes at most {limit_bytes:,} bytes. Use CIDRs and ranges, or split it.",
            limit_bytes=limit_bytes,
        )

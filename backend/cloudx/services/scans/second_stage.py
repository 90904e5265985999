"""The second stage of a scan as it is submitted: nmap, on the open ports that the first will find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cloudx.domain.addresses import AddressSet
from cloudx.domain.errors import InvalidInput
from cloudx.domain.nodes import Node
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.stages.follow_ups import FOLLOWED_PROTOCOL
from cloudx.domain.stages.progress import first_weight
from cloudx.domain.stages.rates import split_rate
from cloudx.domain.tools import SCAN_TYPES, ScanType, Tool
from cloudx.services.ledger.ids import new_id

THEN_TYPES = ("default", "intense", "vuln")
_EXAMPLE = '"then": {"tool": "nmap", "scan_type": "intense"}'


@dataclass(frozen=True)
class Then:
    """What is to follow, as a user typed it."""

    tool: str
    scan_type: str | None = None


def second_type_of(then: Then | None, first: ScanType) -> ScanType | None:
    """The scan type of the second stage; None without one. Raises InvalidInput naming the field."""
    if then is None:
        return None
    if then.tool != Tool.NMAP or (then.scan_type or THEN_TYPES[0]) not in THEN_TYPES:
        raise InvalidInput("then", f"What follows is nmap's {', '.join(THEN_TYPES)}: {_EXAMPLE}.")
    if first.tool is Tool.NMAP or first.protocol != FOLLOWED_PROTOCOL:
        raise InvalidInput(
            "then",
            f"nmap follows the TCP ports that masscan tcp_scan or zmap tcp_syn find open, not {first.tool} "
            f"{first.name}. Use one of these, or leave `then` out.",
        )
    return SCAN_TYPES[Tool.NMAP, then.scan_type or THEN_TYPES[0]]


def with_second(scan: Scan, second: ScanType, asked_pps: int | None) -> tuple[Scan, Scan]:
    """The scan as the first of two stages, and the second. Raises InvalidInput for a rate too low for two."""
    first_pps, second_pps = split_rate(asked_pps, scan.rate_pps, second)
    # The second's row is locked before the first's, which sorting by id downwards does (docs/adr/0038).
    first_id, second_id = sorted((scan.id, new_id()))
    first = replace(
        scan,
        id=first_id,
        followed_by=second_id,
        then_type=second.name,
        rate_pps=first_pps,
        then_rate_pps=scan.rate_pps - first_pps or None,
        warnings=(*scan.warnings, *_warnings(second, asked_pps)),
    )
    return first, Scan(
        id=second_id,
        tool=second.tool,
        type_name=second.name,
        target_text="",
        addresses=AddressSet(),
        ports=None,
        rate_pps=second_pps,
        excluded_addresses=0,
        created_at=scan.created_at,
        created_by=scan.created_by,
        name=scan.name,
        priority=scan.priority,
        status=ScanStatus.RUNNING,  # so that no claim of it has to lock its row
        started_at=scan.created_at,
        host_names=scan.host_names,
        excluded_names=scan.excluded_names,
        max_workers=scan.max_workers,
        retries=scan.retries,
        timeout_seconds=scan.timeout_seconds,
        splits_ports=True,
        hold=scan.hold,
        follows=first_id,
    )


def weighed(first: Scan, second: Scan, rate_pps: int, fit: Sequence[Node]) -> Scan:
    """The first stage with its part of the bar, at what its nodes can send."""
    probes = first.addresses.size * first.units_per_address
    return replace(
        first, first_weight=first_weight(probes, rate_pps, second.type, len(fit) * second.type.runs_per_node)
    )


def _warnings(second: ScanType, asked_pps: int | None) -> tuple[str, ...]:
    if asked_pps is None or not second.unheld_pps:
        return ()
    return (
        f"The rate holds the first stage: nothing holds the version and script probes of nmap {second.name} to one.",
    )

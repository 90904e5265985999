"""Rows of the scans table as the domain's objects, and back."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields
from threading import Lock
from typing import Any

from sqlalchemy import RowMapping

from cloudx.domain.addresses import AddressSet
from cloudx.domain.port_set import PortSet
from cloudx.domain.rates.prefix_caps import PrefixCaps
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.targets import head_of
from cloudx.domain.timing.holds import Hold
from cloudx.domain.tools import ScanType, Tool, scan_type_of
from cloudx.services.ledger.records import ScanSummary, Tally

OPEN = (ScanStatus.SUBMITTED.value, ScanStatus.RUNNING.value)
BULK = ("target_text", "addresses", "ports", "host_names")  # the columns of scan_targets
_DERIVED = (
    "chunks_total", "widest_chunk", "target_head", "target_truncated", "target_count", "units_per_address", "udp_too",
)  # fmt: skip
_HOLD = tuple(field.name for field in fields(Hold))
_SUMMARY = tuple(field.name for field in fields(ScanSummary))
MAX_CACHED_RANGES = 150_000  # about 30 MB


class AddressCache:
    """The parsed targets of the scans used last. They never change, and to parse 100,000 ranges takes 0.4 s a claim."""

    def __init__(self) -> None:
        self._cached: OrderedDict[str, AddressSet] = OrderedDict()
        self._ranges = 0
        self._lock = Lock()

    def get(self, scan_id: str, load: Callable[[], str]) -> AddressSet:
        """The scan's addresses; `load` reads their stored text where they are not cached."""
        with self._lock:
            cached = self._cached.get(scan_id)
            if cached is not None:
                self._cached.move_to_end(scan_id)
                return cached
        parsed = AddressSet.of_texts(load().splitlines())
        with self._lock:
            self._keep(scan_id, parsed)
        return parsed

    def _keep(self, scan_id: str, parsed: AddressSet) -> None:
        if scan_id not in self._cached:
            self._ranges += len(parsed.ranges)
        self._cached[scan_id] = parsed
        while self._ranges > MAX_CACHED_RANGES and len(self._cached) > 1:
            _, oldest = self._cached.popitem(last=False)
            self._ranges -= len(oldest.ranges)


def scan_values(scan: Scan) -> dict[str, Any]:
    """A scan as its own table has it."""
    head = head_of(scan.target_text)
    return {
        **{name: value for name, value in vars(scan).items() if name not in (*BULK, "hold")},
        **hold_values(scan.hold),
        "tool": scan.tool.value,
        "status": scan.status.value,
        "target_head": head,
        "target_truncated": head != scan.target_text,
        "target_count": scan.target_count,
        "units_per_address": scan.units_per_address,
        "udp_too": bool(scan.ports and scan.ports.udp_ranges),
        "excluded_names": json.dumps(scan.excluded_names),
        "warnings": json.dumps(scan.warnings),
        "rate_per_prefix": scan.rate_per_prefix.text() if scan.rate_per_prefix else None,
    }


def hold_values(hold: Hold) -> dict[str, Any]:
    """What keeps a scan from running, as the scans' table has it."""
    return dict(vars(hold))


def hold_of(row: RowMapping) -> Hold:
    """What keeps the scan of a row from running."""
    return Hold(**{name: row[name] for name in _HOLD})


def bulk_values(scan: Scan) -> dict[str, Any]:
    """The rest of it, as scan_targets has it."""
    return {
        "scan_id": scan.id,
        "target_text": scan.target_text,
        "addresses": "\n".join(scan.addresses.texts()),
        "ports": str(scan.ports) if scan.ports else None,
        "host_names": json.dumps(dict(scan.host_names)),
    }


# The columns of scan_nodes that add up to a scan's tally.
COUNTERS = ("chunks_done", "chunks_failed", "completed_units", "failed_units", "excluded_units")


def scan_of(row: RowMapping, addresses: AddressSet) -> Scan:
    """A row of both tables, without the `addresses`, as a Scan."""
    return Scan(
        **{
            **{key: value for key, value in row.items() if key not in (*_DERIVED, *_HOLD)},
            "hold": hold_of(row),
            "tool": Tool(row["tool"]),
            "addresses": addresses,
            "ports": PortSet.parse(row["ports"]) if row["ports"] else None,
            "host_names": {address: tuple(names) for address, names in json.loads(row["host_names"]).items()},
            "excluded_names": tuple(json.loads(row["excluded_names"])),
            "warnings": tuple(json.loads(row["warnings"])),
            "rate_per_prefix": _caps_of(row["rate_per_prefix"]),
            "status": ScanStatus(row["status"]),
        }
    )


def _caps_of(text: str | None) -> PrefixCaps:
    return PrefixCaps.parse(json.loads(text)) if text else PrefixCaps()


def type_of(row: Any) -> ScanType:
    """The scan type of a row with tool, type_name and udp_too."""
    return scan_type_of(row.tool, row.type_name, row.udp_too)


def summary_of(row: RowMapping) -> ScanSummary:
    """A row of the scans' own table as it is listed."""
    return ScanSummary(
        **{
            **{name: row[name] for name in _SUMMARY if name not in ("target_text", "hold")},
            "hold": hold_of(row),
            "target_text": row["target_head"],
            "tool": Tool(row["tool"]),
            "status": ScanStatus(row["status"]),
        }
    )


def tally_of(row: RowMapping, counted: RowMapping | None, in_flight_units: float) -> Tally:
    """The tally of a scan's row and the sums of its rows in scan_nodes (None where it has none)."""
    counters = {name: int(counted[name]) for name in COUNTERS} if counted else dict.fromkeys(COUNTERS, 0)
    leased = int(counted["chunks_leased"]) if counted else 0
    open_chunks = row["chunks_total"] - counters["chunks_done"] - counters["chunks_failed"] - leased
    return Tally(
        **counters,
        chunks_total=row["chunks_total"],
        chunks_leased=leased,
        chunks_cancelled=0 if row["status"] in OPEN else open_chunks,
        in_flight_units=in_flight_units,
    )

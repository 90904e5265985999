"""A scan for domain tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan
from cloudx.domain.targets import parse_targets
from cloudx.domain.tools import DEFAULT_SCAN_TYPE, Tool

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_scan(targets: str = "10.0.0.0/24", tool: Tool = Tool.MASSCAN, **more: Any) -> Scan:
    """One that was just submitted."""
    ports = more.pop("ports", None if tool is Tool.NMAP else "80")
    values = {
        "id": "01900000-0000-7000-8000-000000000000",
        "tool": tool,
        "type_name": more.pop("type_name", DEFAULT_SCAN_TYPE[tool]),
        "target_text": targets,
        "addresses": parse_targets(targets).addresses,
        "ports": PortSet.parse(ports) if ports else None,
        "rate_pps": 1000,
        "excluded_addresses": 0,
        "created_at": NOW,
        "created_by": "ada",
    }
    return Scan(**{**values, **more})

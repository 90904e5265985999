"""What a scan would cost."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class PlannedScan(BaseModel):
    """A scan that was not submitted."""

    tool: str
    scan_type: str
    ports: str | None
    target_count: int = Field(description="Addresses, the excluded included")
    unit: Literal["probes", "hosts"]
    planned: int = Field(description="In this unit, the excluded included")
    excluded: int
    excluded_ranges: list[str] = Field(description="Of the targets: what is not probed; the first 20")
    probes: int = Field(description="Packets at least, each try counted; nmap sends more to hosts that answer")
    chunks: int
    seconds: int = Field(description="A guess: every address is up, and nobody else scans")
    rate: int | None = Field(description="Packets per second that it can run at; null: nmap paces itself")
    nodes: list[str] = Field(description="Those that can run it now")
    warnings: list[str]

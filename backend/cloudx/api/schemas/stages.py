"""The second stage of a scan."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from .common import Body


class ThenBody(Body):
    """What follows on the open ports that the scan finds, as it finds them."""

    tool: str = Field(max_length=64, examples=["nmap"], description="nmap")
    scan_type: str | None = Field(None, max_length=64, examples=["intense"], description="default, intense or vuln")


class ThenShown(BaseModel):
    """The second stage of a scan."""

    tool: str
    scan_type: str


class StageCounts(BaseModel):
    """One stage of a scan of two: probes of the first, open ports of the second, whose plan grows as they are found."""

    tool: str
    unit: Literal["probes", "ports"]
    planned: int
    completed: int
    excluded: int
    failed: int
    remaining: int
    not_reached: int

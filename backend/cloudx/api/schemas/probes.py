"""Who probed an address."""

from __future__ import annotations

from pydantic import BaseModel, Field

from cloudx.domain.tools import Tool
from cloudx.services.scans.find_probes import MAX_WINDOW_SECONDS, WINDOW_SECONDS

from .common import Moment, Parameters, PlainText


class ProbesQuery(Parameters):
    """An address and a time, as a complaint tells them."""

    ip: PlainText = Field(description="One IPv4 or IPv6 address", examples=["192.0.2.7"])
    at: Moment | None = Field(None, description="The moment, with its offset; now by default")
    window: int = Field(WINDOW_SECONDS, ge=0, le=MAX_WINDOW_SECONDS, description="Seconds before and after the moment")


class ProbeScope(BaseModel):
    """The scope that allowed the address when the attempt began."""

    id: str
    owner: str
    note: str


class ProbeItem(BaseModel):
    """An attempt that may have sent a packet to the address."""

    scan_id: str
    tool: Tool
    scan_type: str
    ports: str | None = Field(description="Of this attempt; null where the scan names none")
    node_id: str
    source_ip: str | None = Field(description="As the node has it, so private behind NAT; null where it is not known")
    started_at: str
    ended_at: str | None
    outcome: str | None = Field(description="As in the proof of coverage; null while it goes on")
    asked_by: str
    scope: ProbeScope | None


class ProbesAnswer(BaseModel):
    """The attempts of that time, in order of start."""

    ip: str
    since: str = Field(alias="from")
    until: str = Field(alias="to")
    probes: list[ProbeItem]

"""Findings."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .common import Parameters


class ResultsQuery(Parameters):
    """The form of the results; only json comes in pages."""

    format: Literal["json", "ndjson", "csv", "xml"] = Field("json", description="xml is nmap's own, by its DTD.")
    cursor: str | None = Field(None, max_length=256)
    limit: int = Field(1000, ge=1, le=5000)


class FindingItem(BaseModel):
    """One finding, with the fields that the tool adds."""

    model_config = ConfigDict(extra="allow")

    scan_id: str
    ip: str
    hostname: str | None
    protocol: str
    port: int
    state: str
    service: str | None
    observed_at: str
    node_id: str


class ResultsPage(BaseModel):
    """One page of findings; any depth costs the same."""

    items: list[FindingItem]
    next_cursor: str | None

"""What changed between two scans."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from cloudx.domain.diff.changes import LISTED, Change

from .common import Parameters
from .results import FindingItem

_ONE = "|".join(sorted(LISTED))
Listed = Literal["opened", "closed", "changed", "not_observed"]


class DiffPath(Parameters):
    """The ids of two scans: what was before, and what came after."""

    before_id: str
    after_id: str


class DiffQuery(Parameters):
    """Which changes, and in which form; only json comes in pages."""

    change: str | None = Field(
        None,
        pattern=rf"^(({_ONE})(,({_ONE}))*)?$",
        max_length=100,
        description="Only these, with commas between: opened, closed, changed, not_observed",
        examples=["opened,closed"],
    )
    format: Literal["json", "ndjson", "csv"] = "json"
    cursor: str | None = Field(None, max_length=256)
    limit: int = Field(1000, ge=1, le=5000)

    def changes(self) -> frozenset[Change]:
        """The requested ones; all where none is named."""
        return frozenset(map(Change, self.change.split(","))) if self.change else LISTED


class DiffItem(BaseModel):
    """One port that is not what it was; `not_observed`: the second scan completed no probe of it, or cannot tell."""

    change: Listed
    ip: str
    protocol: str
    port: int
    before: FindingItem | None
    after: FindingItem | None


class DiffSummary(BaseModel):
    """How many ports each change has, over everything, whatever the page lists."""

    opened: int
    closed: int
    changed: int
    unchanged: int
    not_observed: int


class DiffPage(BaseModel):
    """One page of what changed from one scan to another."""

    from_: str = Field(alias="from")
    to: str
    summary: DiffSummary
    items: list[DiffItem]
    next_cursor: str | None

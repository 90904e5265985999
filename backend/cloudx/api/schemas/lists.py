"""Named lists of targets."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, RootModel

from .common import Body, Name, TargetText


class ListBody(Body):
    """Targets under a name that scans and schedules refer to."""

    name: Name = Field(description="Used once; POST /api/scans takes it as `list`")
    targets: Annotated[list[TargetText], Field(min_length=1, max_length=100_000)] = Field(
        description="Addresses, CIDRs, ranges, names"
    )


class ListItem(BaseModel):
    """A named list."""

    id: str
    name: str
    targets: list[str]
    created_at: str
    created_by: str


class ListOfLists(RootModel[list[ListItem]]):
    """Every list, oldest first."""

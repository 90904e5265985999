"""Canaries."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, RootModel

from .common import Body, PlainText, TargetText


class CanaryBody(Body):
    """A listener that is known to answer, for every node to try before and while it scans."""

    target: TargetText = Field(description="One address or host name")
    port: int = Field(ge=1, le=65535)
    protocol: Literal["tcp"] = "tcp"
    note: PlainText = ""


class CanaryItem(BaseModel):
    """A listener that every node must be able to reach."""

    id: str
    target: str
    port: int
    protocol: str
    note: str
    created_at: str
    created_by: str


class CanaryList(RootModel[list[CanaryItem]]):
    """Every canary, oldest first."""

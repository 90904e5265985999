"""The audit trail."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from cloudx.domain.access import Role

from .common import Moment, Parameters, PlainText


class AuditQuery(Parameters):
    """The entries to list; all where nothing is given."""

    principal: PlainText | None = Field(None, description="Who made the change", examples=["admin"])
    action: PlainText | None = Field(None, description="What kind of change", examples=["scan.submit"])
    since: Moment | None = Field(None, description="Only entries of this moment and later")
    cursor: str | None = Field(None, description="next_cursor of the page before", max_length=64)
    limit: int = Field(100, ge=1, le=1000)


class AuditItem(BaseModel):
    """One change; `subject` is the id of the record it is about."""

    id: str
    at: str
    principal: str
    role: Role
    action: str
    subject: str
    detail: dict[str, Any]


class AuditPage(BaseModel):
    """One page of entries, newest first."""

    items: list[AuditItem]
    next_cursor: str | None

"""Scopes, exclusions and tokens."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel, StringConstraints

from cloudx.domain.access import Role
from cloudx.domain.timing.hours import MAX_WINDOWS, AllowedHours, parse_hours

from .common import Body, Moment, Name, NodeId, Parameters, PlainText, TargetText

_Targets = Annotated[list[TargetText], Field(min_length=1, max_length=10_000)]


class RecordPath(Parameters):
    """The id of a record."""

    record_id: str


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_Clock = Annotated[str, StringConstraints(pattern=r"^[0-2][0-9]:[0-5][0-9]$")]


class HoursWindow(Body):
    """A part of some days; one that ends before it starts ends on the next day."""

    days: Annotated[list[Day], Field(max_length=7)] | None = Field(
        None, description="On which it opens; all by default"
    )
    start: _Clock = Field(alias="from", description="00:00 to 23:59", examples=["22:00"])
    end: _Clock = Field(alias="to", description="00:01 to 24:00", examples=["06:00"])


class AllowedHoursBody(Body):
    """When the targets may be probed, by the clocks of a zone."""

    timezone: Annotated[str, StringConstraints(max_length=64)] = Field("UTC", examples=["Europe/Berlin"])
    windows: Annotated[list[HoursWindow], Field(min_length=1, max_length=MAX_WINDOWS)]

    def to_hours(self) -> AllowedHours:
        """The form that the service takes. Raises InvalidInput."""
        return parse_hours(self.model_dump(by_alias=True))


class ScopeBody(Body):
    """Targets that may be scanned, and the owner who answers for it."""

    targets: _Targets
    owner: Name
    note: PlainText = ""
    expires_at: Moment | None = None
    allowed_hours: AllowedHoursBody | None = Field(
        None, description="When they may be probed: `{timezone, windows: [{days, from, to}]}`; at any time by default"
    )


class ExclusionBody(Body):
    """Targets that must never be scanned."""

    targets: _Targets
    note: PlainText = ""


class TokenBody(Body):
    """A credential to make."""

    name: Name
    role: Annotated[Role, Field(strict=False)]
    node_id: NodeId | None = Field(None, description="For the role node alone: the node it speaks for")
    expires_at: Moment | None = None


class ExclusionItem(BaseModel):
    """Targets that are never scanned."""

    id: str
    targets: list[str]
    note: str
    created_at: str
    created_by: str


class ScopeItem(ExclusionItem):
    """Targets that may be scanned while `live`."""

    owner: str
    expires_at: str | None
    allowed_hours: dict[str, Any] | None = Field(description="null: at any time")
    live: bool


class TokenItem(BaseModel):
    """A token, without its secret."""

    id: str
    name: str
    role: Role
    node_id: str | None
    created_at: str
    created_by: str
    expires_at: str | None


class NewToken(TokenItem):
    """A token with its secret, which is shown this once."""

    token: str


class ScopeList(RootModel[list[ScopeItem]]):
    """Every scope, oldest first."""


class ExclusionList(RootModel[list[ExclusionItem]]):
    """Every exclusion, oldest first."""


class TokenList(RootModel[list[TokenItem]]):
    """Every token, oldest first."""

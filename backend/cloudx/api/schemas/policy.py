"""Scopes, exclusions and tokens."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, RootModel

from cloudx.domain.access import Role

from .common import Body, Moment, Name, NodeId, Parameters, PlainText, TargetText

_Targets = Annotated[list[TargetText], Field(min_length=1, max_length=10_000)]


class RecordPath(Parameters):
    """Which one."""

    record_id: str


class ScopeBody(Body):
    """What may be scanned, and who answers for it."""

    targets: _Targets
    owner: Name
    note: PlainText = ""
    expires_at: Moment | None = None


class ExclusionBody(Body):
    """What never may."""

    targets: _Targets
    note: PlainText = ""


class TokenBody(Body):
    """Who gets in."""

    name: Name
    role: Annotated[Role, Field(strict=False)]
    node_id: NodeId | None = Field(None, description="For the role node alone: the node it speaks for")
    expires_at: Moment | None = None


class ExclusionItem(BaseModel):
    """An exclusion."""

    id: str
    targets: list[str]
    note: str
    created_at: str
    created_by: str


class ScopeItem(ExclusionItem):
    """A scope."""

    owner: str
    expires_at: str | None
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
    """With its secret, shown this once."""

    token: str


class ScopeList(RootModel[list[ScopeItem]]):
    """Oldest first."""


class ExclusionList(RootModel[list[ExclusionItem]]):
    """Oldest first."""


class TokenList(RootModel[list[TokenItem]]):
    """Oldest first."""

"""Scopes, exclusions and tokens."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, RootModel

from cloudx.domain.access import Role

from .common import Body, Moment, Name, NodeId, Parameters, PlainText, TargetText

_Targets = Annotated[list[TargetText], Field(min_length=1, max_length=10_000)]


class RecordPath(Parameters):
    """The id of a record."""

    record_id: str


class ScopeBody(Body):
    """Targets that may be scanned, and the owner who answers for it."""

    targets: _Targets
    owner: Name
    note: PlainText = ""
    expires_at: Moment | None = None


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

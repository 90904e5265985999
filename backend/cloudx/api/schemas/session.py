"""The page's sign-in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from cloudx.domain.access import Role

from .common import Body


class SessionBody(Body):
    """What a person signs in with."""

    token: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8192)] = Field(
        description="An API token, or a Clerk session's JWT where CLOUDX_CLERK_ISSUER is set"
    )


class Session(BaseModel):
    """Who is signed in by the page's cookie, and what this install has."""

    signed_in: bool
    principal: str | None
    role: Role | None
    auth: Literal["token", "open"]
    clerk: bool = Field(description="A Clerk session's JWT signs in too")
    version: str | None
    features: list[str] = Field(description="The resources below /api that there are")

"""The types and errors that all schemas share."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

MAX_TEXT = 500
MAX_ENTRY = 1 << 20


def no_controls(text: str) -> str:
    """The text, if it has no control characters; PostgreSQL takes no NUL."""
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("holds control characters; leave them out")
    return text


def _after_1970(moment: datetime) -> datetime:
    if not 1970 <= moment.year <= 9000:
        raise ValueError("lies outside the years 1970 to 9000")
    return moment.astimezone(UTC)


Strict = ConfigDict(extra="forbid", strict=True)
PlainText = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(no_controls)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(no_controls)]
NodeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
TargetText = Annotated[str, StringConstraints(max_length=MAX_ENTRY)]
TargetList = Annotated[list[TargetText], Field(max_length=100_000)]
Moment = Annotated[AwareDatetime, Field(strict=False), AfterValidator(_after_1970)]


class Body(BaseModel):
    """A request body: typed strictly; an unknown field is an error, never ignored."""

    model_config = Strict


class Parameters(BaseModel):
    """Query, header or path parameters. flask-openapi reads their schema at each request, so it is cached."""

    @classmethod
    @cache
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        """The same as pydantic's, made once."""
        return super().model_json_schema(*args, **options)


class Error(BaseModel):
    """Every error has this shape."""

    error: str = Field(description="A sentence with the remedy")
    code: str = Field(description="Stable, for programs", examples=["invalid_input"])
    details: dict[str, Any] | None = None


class Message(BaseModel):
    """A sentence that tells what was done."""

    message: str


def error_responses(*statuses: int) -> dict[str | int, Any]:
    """The documented errors of a route, on top of those that every route has."""
    return dict.fromkeys(statuses, Error)

"""The state of the service and of machines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from .common import Parameters


class Health(BaseModel):
    """The process is alive."""

    status: Literal["ok"]


class Pong(BaseModel):
    """The process answers."""

    status: Literal["pong"]


class DependencyState(BaseModel):
    """A dependency of the API; the required ones decide whether it is ready."""

    status: Literal["ok", "error", "inactive"]
    required: bool
    reason: str | None = None


class Readiness(BaseModel):
    """Whether the API can serve, and the state of each dependency by its name."""

    status: Literal["ready", "unready"]
    dependencies: dict[str, DependencyState]


class SourceState(BaseModel):
    """One source of what is known of the fleet, and how many seconds ago its last answer was known to hold."""

    status: Literal["active", "error"]
    age_seconds: float | None
    reason: str


class SyncStatus(BaseModel):
    """Whether what is shown of the fleet is fresh; `sources` are heartbeat, and consul and nomad where configured."""

    status: Literal["active", "inactive", "error"]
    reason: str
    sources: dict[str, SourceState]


class MonitorQuery(Parameters):
    """The machine to show."""

    target: str = Field(
        "localhost",
        max_length=253,
        description="localhost, 127.0.0.1, ::1, 0.0.0.0 or nothing is this machine; another is measured from here",
    )


class FilePath(Parameters):
    """A file of a folder."""

    name: str


class AssetPath(FilePath):
    """A file of the page, and the version that named it."""

    version: str


class Sample(BaseModel):
    """One figure; timestamp in milliseconds since 1970."""

    value: float
    timestamp: int
    isSpike: bool  # noqa: N815 - the frontend's name
    reachable: bool | None = Field(None, description="Of another machine: whether it answered")


_Series = Annotated[list[Sample], Field(min_length=1)]


class Monitor(BaseModel):
    """Newest first and never empty.

    This machine: four series in percent. Another: `network` alone, in milliseconds, 0 while it is not reachable.
    """

    cpu: _Series | None = None
    memory: _Series | None = None
    disk: _Series | None = None
    network: _Series
    is_agentless: bool | None = None

"""Schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field, RootModel, StringConstraints, ValidationError

from cloudx.domain.timing.cron import MAX_LENGTH
from cloudx.domain.timing.schedules import Missed, Overlap
from cloudx.services.scans.scan_request import ScanRequest
from cloudx.services.schedules.edit_schedules import ScheduleRequest

from ..errors import refused
from .common import Body, Name
from .scans import SubmitBody

_Cron = Annotated[str, StringConstraints(max_length=MAX_LENGTH)]
_Zone = Annotated[str, StringConstraints(max_length=64)]
_Overlap = Annotated[Overlap, Field(strict=False)]
_Missed = Annotated[Missed, Field(strict=False)]
_CRON = Field(description="Five fields: minute, hour, day of month, month, day of week", examples=["0 3 * * 1-5"])
_ZONE = "By whose clocks; `Europe/Berlin`, `UTC` by default"
_SCAN = "The scan, as POST /api/scans takes it; it is submitted as whoever made the schedule, or changed it last"
_OVERLAP = "While the scan of the run before is not over: `skip` the run, or `queue` one until it is"
_MISSED = "When nothing served schedules at that time: `skip` the run, or `run_once` for all that were missed"


class ScheduleBody(Body):
    """A scan to submit again and again."""

    name: Name = Field(description="For people; used once")
    cron: _Cron = _CRON
    timezone: _Zone = Field("UTC", description=_ZONE)
    scan: SubmitBody = Field(description=_SCAN)
    overlap: _Overlap = Field(Overlap.SKIP, description=_OVERLAP)
    missed: _Missed = Field(Missed.SKIP, description=_MISSED)
    enabled: bool = Field(True, description="false: it stays, and nothing is due")

    def to_request(self) -> ScheduleRequest:
        """The form that the service takes."""
        return ScheduleRequest(**{name: getattr(self, name) for name in _PLAIN}, scan=_as_written(self.scan))


class ScheduleChanges(Body):
    """What to change of a schedule; what is left out stays."""

    name: Name | None = Field(None, description="Another name")
    cron: _Cron | None = Field(None, description="Five fields, as at its making")
    timezone: _Zone | None = Field(None, description="By whose clocks")
    scan: SubmitBody | None = Field(None, description="The whole scan")
    overlap: _Overlap | None = Field(None, description="`skip` or `queue`")
    missed: _Missed | None = Field(None, description="`skip` or `run_once`")
    enabled: bool | None = Field(None, description="false: nothing is due until it is true again")

    def changes(self) -> dict[str, Any]:
        """The fields that were given, as the service has them."""
        given = {name: value for name in _PLAIN if (value := getattr(self, name)) is not None}
        return given if self.scan is None else given | {"scan": _as_written(self.scan)}


_PLAIN = ("name", "cron", "timezone", "overlap", "missed", "enabled")


class LastRunItem(BaseModel):
    """What became of the last tick, or of a run by hand."""

    scan_id: str | None = Field(description="null where nothing was submitted")
    at: str
    outcome: str = Field(description="The status of its scan, or why there is none: skipped, missed, queued, refused")


class ScheduleItem(BaseModel):
    """A schedule, and when it is due."""

    id: str
    name: str
    cron: str
    timezone: str
    scan: dict[str, Any]
    overlap: Overlap
    missed: Missed
    enabled: bool
    created_at: str
    created_by: str = Field(description="Who made it, or changed it last: its scans are theirs")
    next_runs: list[str] = Field(description="The next five, with the zone's offset then; none while it is not enabled")
    last_run: LastRunItem | None


class ScheduleList(RootModel[list[ScheduleItem]]):
    """Every schedule, oldest first."""


def request_of(body: Mapping[str, Any]) -> ScanRequest:
    """A stored body of POST /api/scans, read as it would be today. Raises InvalidInput."""
    try:
        return SubmitBody.model_validate(body).to_request()
    except ValidationError as error:
        raise refused(error) from None


def _as_written(scan: SubmitBody) -> dict[str, Any]:
    return scan.model_dump(mode="json", by_alias=True, exclude_unset=True)

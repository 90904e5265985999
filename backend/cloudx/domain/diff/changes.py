"""What became of one port between two scans."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol


class Change(StrEnum):
    """From the first scan to the second; `unchanged` is counted, never listed."""

    OPENED = "opened"
    CLOSED = "closed"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    NOT_OBSERVED = "not_observed"  # the first scan found it, and the second cannot tell whether it is still there


LISTED = frozenset(Change) - {Change.UNCHANGED}


class Observed(Protocol):
    """A finding, as far as a comparison goes by it."""

    @property
    def state(self) -> str:
        """As the tool says it: open, open|filtered, up."""
        ...

    @property
    def service(self) -> str | None:
        """The service's name."""
        ...

    @property
    def extra(self) -> Mapping[str, Any]:
        """What the tool adds; `product` and `version` where it asked for them."""
        ...


def change_of(
    before: Observed | None, after: Observed | None, *, compares_versions: bool, is_shut: bool = False
) -> Change:
    """What became of a finding of one of the scans, or of both.

    `compares_versions`: both scans asked services what they are. `is_shut`: the second scan proves that a finding which
    it does not have is gone.
    """
    if before is None:
        return Change.OPENED
    if after is None:
        return Change.CLOSED if is_shut else Change.NOT_OBSERVED
    is_same = before.state == after.state and (not compares_versions or _served_by(before) == _served_by(after))
    return Change.UNCHANGED if is_same else Change.CHANGED


def _served_by(finding: Observed) -> tuple[Any, ...]:
    return finding.service, finding.extra.get("product"), finding.extra.get("version")

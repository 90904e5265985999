"""The targets of a named list, as a scan of it asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudx.domain.errors import InvalidInput
from cloudx.services.ledger.ledger import OpenLedger

if TYPE_CHECKING:
    from .submit import ScanRequest


def targets_of(open_ledger: OpenLedger, request: ScanRequest) -> tuple[str, ...]:
    """The request's own targets, or those that its list has now. Raises InvalidInput."""
    if request.list_name is None:
        return request.targets
    if request.targets:
        raise InvalidInput("list", "Give targets or a list of them, not both.")
    with open_ledger(read_only=True) as ledger:
        named = ledger.lists.named(request.list_name)
    if named is None:
        raise InvalidInput("list", f"There is no list {request.list_name!r}. `cloudx lists list` shows their names.")
    return named.targets

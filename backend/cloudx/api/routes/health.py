"""Does it live, can it serve, is what it shows fresh."""

from __future__ import annotations

from typing import Any

from cloudx.services.fleet.readiness import check_readiness

from ..access import Access, access
from ..blueprint import resource
from ..context import deps
from ..json_codec import json_response
from ..schemas.machine import Health, Pong, Readiness, SyncStatus

blueprint = resource("health", "/api", is_public=True)

_OK = b'{"status":"ok"}'
_PONG = b'{"status":"pong"}'


@blueprint.get("/health", summary="The process lives; touches no database", responses={200: Health})
@access(Access.ANYONE)
def health() -> Any:
    """For a liveness check."""
    return json_response(_OK)


@blueprint.get("/ping", summary="Answers pong", responses={200: Pong})
@access(Access.ANYONE)
def ping() -> Any:
    """For a look whether anybody is there."""
    return json_response(_PONG)


@blueprint.get("/ready", summary="Each dependency's state", responses={200: Readiness, 503: Readiness})
@access(Access.ANYONE)
def ready() -> Any:
    """What Consul's readiness check and Fabio go by."""
    readiness = check_readiness(deps().open_ledger, deps().fleet)
    return readiness.shown(), 200 if readiness.is_ready else 503


@blueprint.get("/sync-status", summary="Is the view of the fleet fresh", responses={200: SyncStatus})
@access(Access.VIEWER)
def sync_status() -> Any:
    """For the frontend's badge."""
    fleet = deps().fleet
    status, reason = fleet.freshness()
    return {"status": status, "reason": reason, "sources": {name: vars(one) for name, one in fleet.sources().items()}}

"""Does it live, can it serve, is its snapshot of the fleet fresh."""

from __future__ import annotations

from typing import Any

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
    """The cheapest answer there is."""
    return json_response(_PONG)


@blueprint.get("/ready", summary="Each dependency's state", responses={200: Readiness, 503: Readiness})
@access(Access.ANYONE)
def ready() -> Any:
    """For Consul's readiness check, by which Fabio routes."""
    readiness = deps().check_readiness()
    dependencies = {name: vars(state) for name, state in readiness.dependencies.items()}
    if readiness.is_ready:
        return {"status": "ready", "dependencies": dependencies}
    return {"status": "unready", "dependencies": dependencies}, 503


@blueprint.get("/sync-status", summary="Is the view of the fleet fresh", responses={200: SyncStatus})
@access(Access.VIEWER)
def sync_status() -> Any:
    """For the frontend's badge."""
    freshness = deps().fleet.freshness()
    sources = {name: vars(source) for name, source in freshness.sources.items()}
    return {"status": freshness.status, "reason": freshness.reason, "sources": sources}

"""Rate limits: generous ones by principal, against runaway programs, and one of failed logins by address."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from flask import Flask, Response, current_app, g, jsonify, request
from flask_limiter import Limiter, RequestLimit
from limits import parse
from limits.errors import StorageError
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from cloudx.config import Settings
from cloudx.domain.errors import RateLimited
from cloudx.services.fleet.latency import is_this_machine

from .errors import error_body

log = structlog.get_logger()

REDIS_TIMEOUT_SECONDS = 1
_EXTENSION = "cloudx_rate_limits"
# Routes that must answer under any load (health checks, scrapes), and those that a whole fleet calls with one token.
EXEMPT = (
    "health.health",
    "health.ping",
    "health.ready",
    "metrics.metrics",
    "nodes.list_nodes",
    "nodes.register",
    "nodes.heartbeat",
    "work.wait",
)


@dataclass(frozen=True)
class RateLimits:
    """Limits in Flask-Limiter's notation; each process counts for itself, unless Redis counts for all of them."""

    each_principal: str = "60000 per minute"
    submits: str = "3000 per minute"
    latency_probes: str = "1200 per minute"  # a tab of the frontend polls 30 times; this machine's own load is free
    failed_logins: str = "600 per minute"
    reports_of_a_node: str = "60 per minute"  # a node beats 12 times, and registers when its machine has changed


@dataclass(frozen=True)
class _Active:
    limiter: Limiter
    limits: RateLimits
    own_count: FixedWindowRateLimiter = field(default_factory=lambda: FixedWindowRateLimiter(MemoryStorage()))


def limit_rates(app: Flask, settings: Settings, limits: RateLimits) -> None:
    """Apply the limits. Call it after enforce_access, so that the principal is known."""
    limiter = Limiter(
        key_func=_caller,
        app=app,
        default_limits=[limits.each_principal],
        storage_uri=settings.cloudx_redis_url or "memory://",
        storage_options=_redis_options() if settings.cloudx_redis_url else {},
        in_memory_fallback_enabled=settings.cloudx_redis_url is not None,  # until Redis answers again
        headers_enabled=False,
        swallow_errors=True,  # a broken counter must not stop the API
        on_breach=_refuse,
    )
    for endpoint in EXEMPT:
        limiter.exempt(app.view_functions[endpoint])
    _limit_route(app, "scans.submit", limiter.limit(limits.submits, override_defaults=False))
    of_others = limiter.limit(limits.latency_probes, override_defaults=False, exempt_when=_asks_of_this_machine)
    _limit_route(app, "system.system_monitor", of_others)
    app.extensions[_EXTENSION] = _Active(limiter, limits)


def _limit_route(app: Flask, endpoint: str, limited: Callable[[Any], Any]) -> None:
    app.view_functions[endpoint] = limited(app.view_functions[endpoint])


def _asks_of_this_machine() -> bool:
    return is_this_machine(request.args.get("target", ""))


def _redis_options() -> dict[str, Any]:
    """A request waits for a Redis that does not answer once, and not for long."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return {
        "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
        "socket_timeout": REDIS_TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "wrap_exceptions": True,
    }


def count_failed_login() -> None:
    """Raises RateLimited when an address has failed too often."""
    active: _Active = current_app.extensions[_EXTENSION]
    if not _hit(active, active.limits.failed_logins, "failed_login", request.remote_addr or ""):
        raise RateLimited("Too many failed logins from this address. Wait a minute.", retry_after_seconds=60)


def count_report(node_id: str) -> None:
    """Count a registration or heartbeat of a node. Raises RateLimited."""
    active: _Active = current_app.extensions[_EXTENSION]
    if not _hit(active, active.limits.reports_of_a_node, "node_report", node_id):
        raise RateLimited(
            f"Node {node_id[:64]!r} registers and beats too often. One beat in 5 s is enough: wait a minute, and see "
            "whether two machines have its NODE_ID.",
            retry_after_seconds=60,
        )


def _hit(active: _Active, limit: str, *identifiers: str) -> bool:
    """Count one; False when that is over the limit. Flask-Limiter falls back by itself only inside a route's limits."""
    try:
        return active.limiter.limiter.hit(parse(limit), *identifiers)
    except StorageError as error:
        log.warning("rate_limits.redis_away", reason=str(error.storage_error))
        return active.own_count.hit(parse(limit), *identifiers)


def _caller() -> str:
    principal = g.get("principal")
    return principal.key if principal else request.remote_addr or "unknown"


def _refuse(breached: RequestLimit) -> Response:
    wait_seconds = max(1, math.ceil(breached.reset_at - time.time()))
    message = f"Too many requests. Wait {wait_seconds} s."
    response = jsonify(error_body(message, RateLimited.code, {"retry_after_seconds": wait_seconds}))
    response.status_code = 429
    response.headers["Retry-After"] = str(wait_seconds)
    return response

"""Around each request: its id, its headers, its metrics and its line in the log."""

from __future__ import annotations

import re
import time
import uuid

import structlog
from flask import Flask, Response, g, request
from flask_cors import CORS

from cloudx.config import Settings

from .metrics.requests import observe_request
from .pages import TOTAL_HEADER

log = structlog.get_logger()

SLOW_SECONDS = 1.0
REQUEST_ID_HEADER = "X-Request-ID"
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")
_QUIET_METHODS = ("GET", "HEAD", "OPTIONS")
_QUIET_ENDPOINTS = ("nodes.heartbeat",)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_CSP = "default-src 'none'; frame-ancestors 'none'"


def wrap_requests(app: Flask, settings: Settings) -> None:
    """Install it before everything else, so that it is first in and last out."""

    @app.before_request
    def begin() -> None:
        g.started = time.perf_counter()
        given = request.headers.get(REQUEST_ID_HEADER)
        g.request_id = given if given and _SANE_ID.match(given) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def end(response: Response) -> Response:
        headers = response.headers
        headers[REQUEST_ID_HEADER] = g.get("request_id", "")
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("Content-Security-Policy", _CSP)
        headers.setdefault("Cache-Control", "no-store")
        _record(response)
        return response

    if settings.cloudx_cors_origins:
        _allow_origins(app, settings.cloudx_cors_origins)


def _record(response: Response) -> None:
    seconds = time.perf_counter() - g.get("started", time.perf_counter())
    method = request.method if request.url_rule else "ANY"  # an unknown method must not become a label
    route = request.url_rule.rule if request.url_rule else "unmatched"
    observe_request(method, route, response.status_code, seconds)
    # Successful polls and heartbeats would drown the rest.
    is_quiet = request.method in _QUIET_METHODS or request.endpoint in _QUIET_ENDPOINTS
    if is_quiet and response.status_code < 400 and seconds < SLOW_SECONDS:
        return
    principal = g.get("principal")
    log.info(
        "request",
        method=request.method,
        path=request.path[:200],
        status=response.status_code,
        duration_ms=round(seconds * 1000, 1),
        remote=request.remote_addr,
        principal=principal.name if principal else None,
    )


def _allow_origins(app: Flask, origins: tuple[str, ...]) -> None:
    CORS(
        app,
        # As patterns of our own, escaped: Flask-CORS reads a text with [ or ? in it as a regular expression.
        origins=[re.compile(re.escape(origin) + r"\Z") for origin in origins],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", REQUEST_ID_HEADER],
        expose_headers=["ETag", "Link", "Location", "Retry-After", REQUEST_ID_HEADER, TOTAL_HEADER],
        max_age=600,
    )

"""Who may call what. A route without a rule stops the start."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlsplit

from flask import Flask, g, request

from cloudx.domain.access import Principal, Role
from cloudx.domain.errors import Forbidden, Unauthenticated
from cloudx.urls import is_loopback

from .context import deps
from .page.session import presented_credential
from .rate_limits import count_failed_login

Route = TypeVar("Route", bound=Callable[..., object])
_ATTRIBUTE = "cloudx_access"


class Access(StrEnum):
    """The least role that may call a route, or a rule of its own."""

    ANYONE = "anyone"
    NODES = "nodes"
    METRICS = "metrics"  # anyone, unless CLOUDX_METRICS=token
    VIEWER = Role.VIEWER.value
    OPERATOR = Role.OPERATOR.value
    ADMIN = Role.ADMIN.value


def access(rule: Access) -> Callable[[Route], Route]:
    """Set who may call a route; goes below the blueprint's decorator."""

    def mark(route: Route) -> Route:
        setattr(route, _ATTRIBUTE, rule)
        return route

    return mark


def enforce_access(app: Flask) -> None:
    """Check the rule of each request before anything of it is read. Call it after every route is registered."""
    rules = {endpoint: _rule_of(endpoint, route) for endpoint, route in app.view_functions.items()}

    @app.before_request
    def check() -> None:
        if deps().authenticate.is_open:
            _require_own_name()
            _require_own_page()
        rule = rules.get(request.endpoint or "", Access.ANYONE)  # no endpoint: 404 or 405 follows
        if rule is not Access.ANYONE and request.method != "OPTIONS":
            _admit(rule)


def _rule_of(endpoint: str, route: Callable[..., object]) -> Access:
    if endpoint == "static":
        return Access.ANYONE
    rule = getattr(route, _ATTRIBUTE, None)
    if not isinstance(rule, Access):
        raise TypeError(f"The route {endpoint} has no rule of access: add @access(…) below its blueprint's decorator.")
    return rule


def _admit(rule: Access) -> None:
    if rule is Access.METRICS:
        if deps().settings.cloudx_metrics == "open":
            return
        rule = Access.VIEWER
    principal = g.principal = authenticated(presented_credential())
    if rule is not Access.NODES:
        principal.require(Role(rule.value))
    elif principal.role is not Role.NODE and not deps().authenticate.is_open:
        raise Forbidden("Nodes register and beat with a node token: POST /api/tokens with role node and node_id.")


def authenticated(credential: str | None) -> Principal:
    """The principal of what an Authorization header would hold; counts what fails. Raises Unauthenticated."""
    try:
        return deps().authenticate(credential)
    except Unauthenticated:
        count_failed_login()
        raise


def authenticate_again() -> Callable[[], object]:
    """What checks this request's credential later, when its context is gone: an answer may go on for hours.

    It raises as the first check does.
    """
    authenticate, credential = deps().authenticate, presented_credential()
    return lambda: authenticate(credential)


def _require_own_name() -> None:
    """Keep away pages that have a name of theirs point at this machine: to a browser they have our origin."""
    host = urlsplit(f"//{request.host}").hostname or ""
    if not is_loopback(host):
        raise Forbidden(
            f"An open API answers only to localhost and 127.0.0.1, and was called {host[:64]!r}. Call it by one of "
            "them, or set CLOUDX_AUTH=token."
        )


def _require_own_page() -> None:
    """Keep away pages of other origins. A page cannot forge Origin, Referer or Sec-Fetch-Site (Fetch standard)."""
    origin = request.headers.get("Origin") or _origin_of(request.headers.get("Referer", ""))
    if origin:
        allowed = origin in deps().settings.cloudx_cors_origins or origin == f"{request.scheme}://{request.host}"
    else:
        allowed = request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
    if not allowed:
        raise Forbidden(
            f"An open API answers no page of another origin ({(origin or 'not told')[:80]!r}). Name it in "
            "CLOUDX_CORS_ORIGINS if it is yours, or set CLOUDX_AUTH=token."
        )


def _origin_of(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}" if separator else ""

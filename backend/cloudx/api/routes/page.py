"""The page at /, its files, and its sign-in."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, jsonify

from cloudx import __version__
from cloudx.domain.access import Principal, Role
from cloudx.domain.errors import Forbidden, Unauthenticated

from ..access import Access, access, authenticated
from ..blueprint import resource
from ..context import deps
from ..page.files import asset, shell
from ..page.session import presented_credential, require_own_page, sign_in, sign_out
from ..schemas.common import error_responses
from ..schemas.machine import AssetPath
from ..schemas.session import Session, SessionBody

blueprint = resource("page", "", is_public=True)


@blueprint.get("/", doc_ui=False)
@access(Access.ANYONE)
def page() -> Any:
    """It holds no data: what it shows it asks of the API as whoever signed in."""
    return shell()


@blueprint.get("/page/<version>/<path:name>", doc_ui=False)
@access(Access.ANYONE)
def page_file(path: AssetPath) -> Any:
    """One of its files."""
    return asset(path.version, path.name)


@blueprint.get("/api/session", summary="Who is signed in by the page's cookie", responses={200: Session})
@access(Access.ANYONE)
def show_session() -> Any:
    """Never 401: a page asks it to learn whether to ask for a token."""
    credential = presented_credential()
    if credential is None and not deps().authenticate.is_open:
        return _show(None)  # nobody tried, so no failed login is counted
    try:
        return _show(authenticated(credential))
    except Unauthenticated:
        return _show(None)


@blueprint.post(
    "/api/session", summary="Sign the page in", responses={200: Session, **error_responses(400, 401, 403, 413)}
)
@access(Access.ANYONE)
def create_session(body: SessionBody) -> Any:
    """Sets an HttpOnly cookie; for the page of this very origin alone."""
    require_own_page()
    principal = authenticated(f"Bearer {body.token}")
    if principal.role is Role.NODE:
        raise Forbidden("A node's token opens no page. Sign in with a viewer's, an operator's or an admin's.")
    response = _show(principal)
    return response if deps().authenticate.is_open else sign_in(response, body.token)


@blueprint.delete("/api/session", summary="Sign the page out", responses={200: Session, **error_responses(403)})
@access(Access.ANYONE)
def end_session() -> Any:
    """Takes the cookie away; the token stays good."""
    require_own_page()
    return sign_out(_show(None))


def _show(principal: Principal | None) -> Response:
    authenticate = deps().authenticate
    return jsonify(
        signed_in=principal is not None,
        principal=principal.name if principal else None,
        role=principal.role if principal else None,
        auth="open" if authenticate.is_open else "token",
        clerk=deps().settings.cloudx_clerk_issuer is not None,
        version=__version__ if principal else None,
        features=sorted({rule.rule.split("/")[2] for rule in current_app.url_map.iter_rules() if _is_resource(rule)}),
    )


def _is_resource(rule: Any) -> bool:
    return str(rule.rule).startswith("/api/")

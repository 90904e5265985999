"""The cookie that the page signs in with, and the proof that a request with it is the page's own.

A browser sends a cookie whoever made it ask. So a cookie counts only where the browser itself says that a page of this
very origin asked: by Sec-Fetch-Site, which no page can set (Fetch Metadata), or by Origin or Referer where the browser
does not send that, as by plain http to another machine. SameSite=Strict comes on top.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, request

from cloudx.domain.errors import Forbidden, InvalidInput

SESSION_SECONDS = 12 * 3600
MAX_COOKIE_BYTES = 3800  # browsers silently drop one over 4,096 with its name and attributes
_SAME_ORIGIN = "same-origin"


def presented_credential() -> str | None:
    """The Authorization header, else the page's cookie in that form, else None."""
    header = request.headers.get("Authorization")
    if header is not None:
        return header
    token = _cookie()
    return f"Bearer {token}" if token and is_own_page() else None


def is_own_page() -> bool:
    """True for a request that a page of this origin made."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == _SAME_ORIGIN
    return _names_us(request.headers.get("Origin") or request.headers.get("Referer", ""))


def _names_us(address: str) -> bool:
    """True for an address of this very host; what came by https asked no plain page, which the wire can forge."""
    scheme, _, rest = address.partition("://")
    if not rest or scheme not in ("http", "https") or (scheme == "http" and _is_https_here()):
        return False
    return urlsplit(address).netloc.lower() == request.host.lower()


def require_own_page() -> None:
    """Raise Forbidden for another page: it must neither sign anybody in nor out."""
    if not is_own_page():
        raise Forbidden(
            "Only the page of this very address signs in and out. Open / in the browser; a program sends "
            "`Authorization: Bearer TOKEN` instead."
        )


def sign_in(response: Response, token: str) -> Response:
    """Give the browser the cookie. Raises InvalidInput for a token that no cookie holds."""
    if len(token.encode()) > MAX_COOKIE_BYTES:
        raise InvalidInput("token", f"A token for the page has at most {MAX_COOKIE_BYTES:,} bytes. Use an API token.")
    _set(response, token, SESSION_SECONDS)
    return response


def sign_out(response: Response) -> Response:
    """Take the cookie away."""
    _set(response, "", 0)
    return response


def _set(response: Response, value: str, seconds: int) -> None:
    secure = _came_by_https()
    response.set_cookie(
        _name(secure), value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="Strict"
    )


def _cookie() -> str | None:
    """By http the plain one alone counts where no secure one is there: a sibling's domain may set a plain one."""
    secure = request.cookies.get(_name(True))
    return secure if secure is not None or _came_by_https() else request.cookies.get(_name(False))


def _name(secure: bool) -> str:
    """A browser keeps `__Host-` for this host by https alone (RFC 6265bis). Ports share cookies, so the name has it."""
    port = request.host.rpartition("]")[2].partition(":")[2]
    return ("__Host-" if secure else "") + "cloudx_session" + (f"_{port}" if port.isdecimal() else "")


def _came_by_https() -> bool:
    """As the browser says, or a proxy before us. Whoever lies about it only loses his own cookie."""
    return _is_https_here() or request.headers.get("Origin", "").startswith("https://")


def _is_https_here() -> bool:
    forwarded = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
    return request.is_secure or forwarded == "https"

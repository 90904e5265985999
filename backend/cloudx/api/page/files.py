"""The page's files as they go over the wire: read, compressed and hashed once in the life of a process.

Their addresses carry a hash of all of them, so browsers keep them for a year, and a new version is a new address.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Response, request

from cloudx.domain.errors import NotFound

FOLDER = Path(__file__).parents[2] / "web"
SHELL = "index.html"
ADDRESS = "/page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_VERSION_MARK = b"__VERSION__"
# Nothing but our own files runs, and no text becomes markup: a browser that knows Trusted Types refuses innerHTML.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_SHELL_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    # Requests of the page tell where they come from: by plain http nothing else does (see session.py).
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}
_KEPT = "public, max-age=31536000, immutable"
# Not `gzip;q=0`, which refuses it.
_ACCEPTS_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))")


@dataclass(frozen=True)
class PageFile:
    """One file, plain and compressed."""

    body: bytes
    gzipped: bytes
    content_type: str
    etag: str


@cache
def page_files() -> dict[str, PageFile]:
    """Every file of the page by its name below the folder."""
    bodies = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in sorted(FOLDER.rglob("*"))
              if path.suffix in _TYPES}  # fmt: skip
    version = _digest(*(part for name, body in bodies.items() for part in (name.encode(), body)))
    bodies[SHELL] = bodies[SHELL].replace(_VERSION_MARK, version.encode())
    return {name: _file(name, body) for name, body in bodies.items()} | {"": PageFile(b"", b"", "", version)}


def page_version() -> str:
    """The hash in the files' addresses."""
    return page_files()[""].etag


def shell() -> Response:
    """The page itself, which names its files."""
    response = _answer(page_files()[SHELL])
    response.headers.update(_SHELL_HEADERS)
    return response


def asset(version: str, name: str) -> Response:
    """One of its files. Raises NotFound. Under an old version's address the file of now, which nobody keeps."""
    file = page_files().get(name)
    if file is None or name in ("", SHELL):
        raise NotFound("The page has no such file. Load it again: GET /.")
    response = _answer(file)
    response.headers["Cache-Control"] = _KEPT if version == page_version() else "no-cache"
    return response


def _answer(file: PageFile) -> Response:
    is_gzip = _ACCEPTS_GZIP.search(request.headers.get("Accept-Encoding", "")) is not None
    etag = f'"{file.etag}-gz"' if is_gzip else f'"{file.etag}"'
    if etag in request.headers.get("If-None-Match", ""):
        response = Response(status=304)
    else:
        response = Response(file.gzipped if is_gzip else file.body, content_type=file.content_type)
        if is_gzip:
            response.headers["Content-Encoding"] = "gzip"
    response.headers["ETag"] = etag
    response.headers["Vary"] = "Accept-Encoding"
    return response


def _file(name: str, body: bytes) -> PageFile:
    return PageFile(body, gzip.compress(body, 9, mtime=0), _TYPES[Path(name).suffix], _digest(body))


def _digest(*parts: bytes) -> str:
    return hashlib.blake2b(b"\0".join(parts), digest_size=9).hexdigest()

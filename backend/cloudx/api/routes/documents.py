"""The OpenAPI document, its page, and the scripts for agent installers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, cast

from flask import Response, current_app, send_from_directory
from flask_openapi.openapi import OpenAPI
from flask_openapi_swagger import plugins  # type: ignore[import-untyped]

from cloudx.domain.errors import NotFound

from ..access import Access, access
from ..blueprint import resource
from ..context import deps
from ..json_codec import encode, json_response
from ..schemas.machine import FilePath

blueprint = resource("documents", "", is_public=True)

_SWAGGER_FOLDER = Path(plugins.__file__).parent / "templates" / "swagger"
# Swagger UI sets styles by script, which a policy allows; its pictures are data in its style sheet.
_DOCS_CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Cloud-X API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/api/docs/assets/css/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="/api/docs/assets/js/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script></body></html>
"""
_START = 'SwaggerUIBundle({url: "/api/openapi.json", dom_id: "#swagger-ui", deepLinking: true});\n'


@blueprint.get("/api/openapi.json", summary="This document", doc_ui=False)
@access(Access.ANYONE)
def openapi_json() -> Any:
    """OpenAPI 3.1."""
    return json_response(_document())


@cache
def _document() -> bytes:
    """The same for the life of the process."""
    return encode(cast(OpenAPI, current_app).api_doc)


@blueprint.get("/api/docs", summary="This document, for people", doc_ui=False)
@access(Access.ANYONE)
def docs() -> Any:
    """Swagger UI, served from here: no request leaves for anywhere else."""
    return Response(_PAGE, mimetype="text/html", headers={"Content-Security-Policy": _DOCS_CSP})


@blueprint.get("/api/docs/start.js", doc_ui=False)
@access(Access.ANYONE)
def docs_start() -> Any:
    """Starts Swagger UI; a file, so that the page needs no inline script."""
    return Response(_START, mimetype="text/javascript")


@blueprint.get("/api/docs/assets/<path:name>", doc_ui=False)
@access(Access.ANYONE)
def docs_asset(path: FilePath) -> Any:
    """Swagger UI's own files."""
    return _file_below(_SWAGGER_FOLDER, path.name)


@blueprint.get("/scripts/<path:name>", doc_ui=False)
@access(Access.ANYONE)
def script(path: FilePath) -> Any:
    """A file of CLOUDX_SCRIPTS_DIR."""
    folder = deps().settings.cloudx_scripts_dir
    if folder is None:
        raise NotFound("No scripts are served here: CLOUDX_SCRIPTS_DIR is not set.")
    return _file_below(folder, path.name)


def _file_below(folder: Path, name: str) -> Response:
    """A regular file of a folder; a link that leads out of the folder does not count. Raises NotFound."""
    root = folder.resolve()
    if "\0" in name or not (root / name).resolve().is_relative_to(root):
        raise NotFound("There is no such file.")
    return send_from_directory(root, name, max_age=3600)

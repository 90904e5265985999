"""The Flask application: create_app puts the parts together."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_openapi.models.info import Info
from flask_openapi.openapi import OpenAPI

from cloudx import __version__

from .access import enforce_access
from .body_limits import limit_bodies
from .context import EXTENSION, ApiProcess
from .dependencies import Dependencies
from .embed_results import EmbedResults
from .errors import refuse_invalid, register_errors
from .json_codec import OrjsonProvider, StrictRequest
from .metrics.process import ProcessFigures, publish_to_metrics
from .present_nodes import NodeLists
from .rate_limits import RateLimits, limit_rates
from .request_cycle import wrap_requests
from .routes import ALL
from .schemas.common import Error

_DESCRIPTION = """Scans networks with nmap, masscan and zmap from a fleet of machines, and accounts for every probe.
Errors are always `{"error", "code", "details"?}`."""
_SECURITY: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API token or a Clerk session"}
}


class CloudxApi(OpenAPI):
    """Flask with an OpenAPI document, our JSON and our requests."""

    json_provider_class = OrjsonProvider
    request_class = StrictRequest


def create_app(dependencies: Dependencies, limits: RateLimits | None = None) -> Flask:
    """The application of one process. ApiProcess.start_background starts its background work."""
    app = CloudxApi(
        "cloudx",
        info=Info(title="Cloud-X", version=__version__, description=_DESCRIPTION),
        security_schemes=_SECURITY,
        validation_error_status=400,
        validation_error_model=Error,
        validation_error_callback=refuse_invalid,
        doc_ui=False,
        static_folder=None,
    )
    app.openapi_version = "3.1.0"
    app.extensions[EXTENSION] = ApiProcess(
        dependencies,
        embed_results=EmbedResults(dependencies.open_ledger),
        node_lists=NodeLists(),
        figures=ProcessFigures(dependencies),
    )
    publish_to_metrics(dependencies)
    wrap_requests(app, dependencies.settings)
    register_errors(app)
    for blueprint in ALL:
        app.register_api(blueprint)
    enforce_access(app)
    limit_bodies(app)
    limit_rates(app, dependencies.settings, limits or RateLimits())
    return app

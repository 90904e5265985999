"""The metrics that Prometheus scrapes."""

from __future__ import annotations

from typing import Any

from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST

from ..access import Access, access
from ..blueprint import resource
from ..metrics.scrape import scrape

blueprint = resource("metrics", "", is_public=True)


@blueprint.get(
    "/metrics",
    summary="Prometheus text; CLOUDX_METRICS=token asks for a viewer's token",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
@access(Access.METRICS)
def metrics() -> Any:
    """Right across gunicorn's workers. Nothing is read for a request: rounds publish what the ledger tells."""
    return Response(scrape(), content_type=CONTENT_TYPE_LATEST)

"""The metrics that Prometheus scrapes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST

from cloudx.domain.errors import DependencyUnavailable

from ..access import Access, access
from ..blueprint import resource
from ..context import process
from ..metrics import scrape

blueprint = resource("metrics", "", is_public=True)


@blueprint.get(
    "/metrics",
    summary="Prometheus text; CLOUDX_METRICS=token asks for a viewer's token",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
@access(Access.METRICS)
def metrics() -> Any:
    """Right across gunicorn's workers."""
    with suppress(DependencyUnavailable):  # the other figures matter most when the database is away
        process().scan_counts.publish()
    return Response(scrape(), content_type=CONTENT_TYPE_LATEST)

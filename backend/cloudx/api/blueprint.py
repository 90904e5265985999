"""A blueprint with the parts of the OpenAPI document that all resources share."""

from __future__ import annotations

from flask_openapi.blueprint import APIBlueprint

from .schemas.common import error_responses


def resource(name: str, path: str, *, is_public: bool = False) -> APIBlueprint:
    """A blueprint for the routes below a path; those of a public one document no credential."""
    errors = error_responses(429, 503) if is_public else error_responses(400, 401, 403, 413, 429, 503)
    return APIBlueprint(
        name,
        name,
        url_prefix=path,
        abp_tags=[{"name": name}],
        abp_security=[] if is_public else [{"bearer": []}],
        abp_responses=errors,
    )

"""One table from domain errors to HTTP, and one shape for every error there is."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Flask, Response, g, jsonify
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, InternalServerError

from cloudx.domain import errors

log = structlog.get_logger()

STATUS_OF: dict[type[errors.CloudxError], int] = {
    errors.InvalidInput: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.TargetOutOfScope: 403,
    errors.NotFound: 404,
    errors.NodeNotRegistered: 404,
    errors.Conflict: 409,
    errors.IllegalTransition: 409,
    errors.NoCapableNode: 409,
    errors.TooLarge: 413,
    errors.RateLimited: 429,
    errors.DependencyUnavailable: 503,
    errors.ClusterUnavailable: 503,
}
RETRY_AFTER_SECONDS = 2
SHOWN_PROBLEMS = 10
_HTTP = {
    400: ("invalid_input", "The request cannot be read: {}"),
    404: ("not_found", "There is nothing at this address. GET /api/openapi.json lists what there is."),
    405: ("method_not_allowed", "This address does not take that method; the Allow header says which it takes."),
    413: ("too_large", "The body is too large. Use CIDRs and ranges, or split the request."),
    415: ("invalid_input", "The body has to be JSON: send Content-Type: application/json."),
    429: ("rate_limited", "Too many requests. Wait as long as the Retry-After header says."),
}


def register_errors(app: Flask) -> None:
    """Every error leaves as JSON in the one shape."""
    app.register_error_handler(errors.CloudxError, _known)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unknown)


def error_body(message: str, code: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """The one shape of an error."""
    return {"error": message, "code": code} | ({"details": details} if details else {})


def refuse_invalid(error: ValidationError) -> None:
    """Turn pydantic's error into ours. Raises InvalidInput naming the first field."""
    raise refused(error)


def refused(error: ValidationError) -> errors.InvalidInput:
    """Pydantic's error as ours, naming the first field."""
    problems = [_problem(detail) for detail in error.errors(include_url=False, include_context=False)[:SHOWN_PROBLEMS]]
    field, message = problems[0]["field"], problems[0]["message"]
    others = {"problems": problems} if len(problems) > 1 else {}
    return errors.InvalidInput(field, f"{field}: {message}. GET /api/docs shows what it takes.", **others)


def _problem(detail: Any) -> dict[str, str]:
    location = [str(part) for part in detail["loc"][:1]]
    message = "there is no such field" if detail["type"] == "extra_forbidden" else detail["msg"]
    return {"field": location[0][:64] if location else "body", "message": message.removeprefix("Value error, ")}


def _known(error: errors.CloudxError) -> Response:
    status = STATUS_OF.get(type(error))
    if status is None:  # an error for workers alone: a defect if it comes here
        return _unknown(error)
    response = jsonify(error_body(error.message, error.code, error.details))
    response.status_code = status
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="cloudx"'
    if status in (429, 503):
        response.headers["Retry-After"] = str(error.details.get("retry_after_seconds", RETRY_AFTER_SECONDS))
    return response


def _http(error: HTTPException) -> Response:
    """An error of Flask or werkzeug: an unknown address, a wrong method, a body over the bound."""
    if error.response is not None or (error.code or 500) < 400:  # redirects and ready answers
        return error.get_response()  # type: ignore[return-value]
    if isinstance(error, InternalServerError) and error.original_exception is not None:
        return _unknown(error.original_exception)
    code, message = _HTTP.get(error.code or 500, ("invalid_input", "{}"))
    response = jsonify(error_body(message.format(error.description), code))
    response.status_code = error.code or 500
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _unknown(error: BaseException) -> Response:
    """A defect of ours: the log has its detail, the answer only the request's id."""
    log.error("request.failed", exc_info=error)
    request_id = g.get("request_id", "")
    message = f"Something went wrong here. Tell the operator this request id: {request_id}."
    response = jsonify(error_body(message, "internal_error", {"request_id": request_id}))
    response.status_code = 500
    return response

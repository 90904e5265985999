"""Structured logs: JSON lines in containers, pretty on a terminal, secrets taken out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from cloudx.config import Settings

REDACTED = "[redacted]"
_SECRET_NAMES = re.compile(r"token|secret|password|authorization|jwt_key|api_key|cookie", re.IGNORECASE)
_SECRET_VALUES = re.compile(
    r"cx_[A-Za-z0-9_-]{20,}"  # our tokens
    r"|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"  # JWTs
    r"|(?<=://)[^/@\s:]*:[^@\s]+(?=@)"  # the login in a URL
    r"|(?i:(?<=bearer )\S+)"
)


def configure_logs(settings: Settings) -> None:
    """Send structlog and the standard library's logs to stderr in one form."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(_is_pretty(settings), shared))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if settings.flask_debug else logging.INFO)
    for noisy in ("urllib3", "geventwebsocket"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Remove every value that is named like a secret or looks like one."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = REDACTED if _SECRET_NAMES.search(name) else _SECRET_VALUES.sub(REDACTED, value)
        elif _SECRET_NAMES.search(name) and value is not None and not isinstance(value, bool | int | float):
            event[name] = REDACTED
    return event


def _is_pretty(settings: Settings) -> bool:
    if settings.cloudx_log_format == "auto":
        return sys.stderr.isatty()
    return settings.cloudx_log_format == "pretty"


def _formatter(pretty: bool, shared: list[Any]) -> logging.Formatter:
    last: list[Any] = (
        [redact, structlog.dev.ConsoleRenderer()]
        if pretty
        else [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer(default=str)]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )

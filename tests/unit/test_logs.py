"""What never reaches a log."""

import io
import json
import logging
import sys

import pytest
import structlog

from cloudx.config import load_settings
from cloudx.logs import REDACTED, configure_logs, redact


@pytest.fixture(autouse=True)
def _logging_as_before():
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers, root.level = before[0], before[1]
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "event",
    [
        {"token": "cx_abc"},
        {"admin_token": "anything"},
        {"Authorization": "Bearer x"},
        {"password": "hunter2"},
        {"event": "sent cx_0123456789012345678901234567890123456789012"},
        {"event": "got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"},
        {"url": "postgresql://cloudx:hunter2@db:5432/cloudx"},
        {"event": "header was: Bearer hunter2hunter2"},
    ],
)
def test_a_secret_is_taken_out_by_its_name_or_its_look(event):
    shown = redact(None, "info", dict(event))
    assert REDACTED in str(shown)
    assert not any(secret in str(shown) for secret in ("hunter2", "cx_0", "eyJ", "anything"))


def test_what_is_no_secret_stays():
    event = {"event": "request", "path": "/api/scans", "duration_ms": 1.5, "job_id": "01a20e75-a13e"}
    assert redact(None, "info", dict(event)) == event


def test_both_ways_of_logging_give_one_json_line_with_the_request_id(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    configure_logs(load_settings({"CLOUDX_LOG_FORMAT": "json"}))
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("ours").info("hello", scan="s1")
        logging.getLogger("theirs").warning("careful: %s", "cx_0123456789012345678901234567890123456789012")
    ours, theirs = map(json.loads, written.getvalue().splitlines())
    assert ours["event"] == "hello" and ours["scan"] == "s1" and ours["request_id"] == "r-1"
    assert theirs["event"] == f"careful: {REDACTED}" and theirs["request_id"] == "r-1" and theirs["level"] == "warning"

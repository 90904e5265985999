"""A service keeps out of memory what it never uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

STARTS = {
    "worker": "from cloudx.memory import leave_rich_out; leave_rich_out(); import cloudx.bootstrap.worker",
    "API": "import cloudx.server.gunicorn_conf",
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
def test_a_service_has_structlog_without_rich(start: str, tmp_path: Path) -> None:
    program = f"{start}; import structlog, sys; print([name for name in sys.modules if name.startswith('rich.')])"
    environment = {"CLOUDX_DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"

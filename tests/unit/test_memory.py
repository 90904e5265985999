"""A service keeps out of memory what it never uses; tests/unit/cli/test_worker_start.py has the worker's part."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_api_has_structlog_without_rich(tmp_path: Path) -> None:
    program = (
        "import cloudx.server.gunicorn_conf, structlog, sys; print([m for m in sys.modules if m.startswith('rich.')])"
    )
    environment = {"CLOUDX_DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"

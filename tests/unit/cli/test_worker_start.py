"""A worker is started for every dispatch: it loads nothing that it does not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cloudx.cli.main import plain_worker

_LOADED = "import sys; from cloudx.cli.main import run; sys.argv[1:] = ['worker']; {}; print(*sys.modules)"


def _modules_after(*statements: str) -> set[str]:
    program = _LOADED.format("; ".join(statements))
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    return set(said.split())


@pytest.mark.parametrize(
    ("arguments", "is_plain", "scan_id"),
    [
        (["worker"], True, None),
        (["worker", "--scan", "s-1"], True, "s-1"),
        (["worker", "--scan=s-1"], False, None),
        (["worker", "--scan"], False, None),
        (["worker", "--scan", ""], False, None),
        (["worker", "--scan", "--help"], False, None),
        (["worker", "--help"], False, None),
        (["worker", "more"], False, None),
        (["up"], False, None),
        ([], False, None),
    ],
)
def test_only_an_ordinary_worker_goes_by_the_command_line(arguments, is_plain, scan_id) -> None:
    assert plain_worker(arguments) == (is_plain, scan_id)


def test_a_worker_loads_neither_the_command_line_nor_the_api() -> None:
    loaded = _modules_after(
        "from cloudx.memory import leave_rich_out",
        "leave_rich_out()",
        "import cloudx.bootstrap.worker, cloudx.logs",
        "import cloudx.worker.resident, cloudx.worker.node_agent, cloudx.worker.run_chunk",
        "import cloudx.adapters.machine.machine",
        "cloudx.bootstrap.worker.scanners_by_tool()",
    )
    assert "cloudx.worker.resident" in loaded
    assert not {"typer", "rich.console", "flask", "gevent", "requests", "alembic"} & loaded


def test_wrong_usage_of_worker_is_still_explained() -> None:
    asked = [sys.executable, "-P", "-m", "cloudx.cli.main", "worker", "--sacn", "s-1"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "No such option" in done.stderr

"""What `--help` promises, of every command there is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cloudx.cli.commands import app

DOCUMENT = Path(__file__).parents[3] / "docs" / "cli.md"
PROCESSES = ("up", "serve", "worker", "agent", "db upgrade", "dev", "cluster set-up")


def _names(command: object, path: str = "") -> Iterator[str]:
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            if child.invoke_without_command:
                yield f"{path}{name}"
            yield from _names(child, f"{path}{name} ")
        else:
            yield f"{path}{name}"


COMMANDS = sorted(_names(get_command(app)))


def _help(command: str) -> str:
    shown = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, [*command.split(), "--help"])
    assert shown.exit_code == 0
    return shown.output


def test_the_commands_of_the_contract_are_there() -> None:
    assert {"scan", "scans", "show", "stop", "delete", "results", "diff", "nodes", *PROCESSES} <= set(COMMANDS)
    for group in ("scopes", "exclusions", "canaries", "tokens"):
        assert {f"{group} list", f"{group} add", f"{group} remove"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_shows_an_example_of_that_very_command(command: str) -> None:
    assert re.search(rf"Example: .*cloudx {command}\b", _help(command))


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in PROCESSES])
def test_every_command_that_asks_the_api_can_answer_in_json(command: str) -> None:
    assert "--json" in _help(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"cloudx {command}" in DOCUMENT.read_text()


def test_help_loads_no_server_and_so_comes_at_once() -> None:
    asked = "import sys; from cloudx.cli.commands import app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert not {"flask", "gevent", "sqlalchemy", "gunicorn", "requests", "lxml"} & set(loaded)

"""docs/commands.md has every command with its arguments and options, and every make target; and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from cloudx.cli.commands import app
from fixtures.doc_pages import ROOT, assert_same, first_cells, section, sections

PAGE = "docs/commands.md"
OF_ALL = {"--help", "--json"}  # told once, at the top of the page


def _commands(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its path: a group too, where it does something by itself."""
    for name, child in getattr(command, "commands", {}).items():
        if not hasattr(child, "commands") or child.invoke_without_command:
            yield f"{path}{name}", child
        yield from _commands(child, f"{path}{name} ")


COMMANDS = {f"cloudx {name}": command for name, command in _commands(get_command(app)) if not command.hidden}
ENTRIES = {title: text for title, text in sections(PAGE, 3).items() if title.startswith("cloudx ")}


def _takes(command: Any) -> dict[str, str]:
    """Its arguments, by their names in capitals, and its long options, with their help."""
    takes: dict[str, str] = {}
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        words = parameter.help or ""
        if parameter.param_type_name == "argument":
            takes[(parameter.metavar or parameter.name.upper()).strip("[].…")] = words
        else:
            names = [*parameter.opts, *parameter.secondary_opts]
            takes |= {name: words for name in names if name.startswith("--")}
    return {name: words for name, words in takes.items() if name not in OF_ALL}


def _entry(name: str) -> str:
    """What may be pasted into the page for a command."""
    rows = [f"| `{taken}` | {words} |" for taken, words in _takes(COMMANDS[name]).items()]
    table = ["", "| takes | what |", "| --- | --- |", *rows] if rows else []
    return "\n".join([f"### {name}", (COMMANDS[name].help or "").split("\n\n")[0].strip(), *table])


def test_every_command_has_its_heading_and_every_heading_its_command() -> None:
    missing = [_entry(name) for name in COMMANDS if name not in ENTRIES]
    assert not missing, f"\n{PAGE} lacks:\n\n" + "\n\n".join(missing)
    gone = sorted(ENTRIES.keys() - COMMANDS.keys())
    assert not gone, f"{PAGE} has headings of commands that do not exist: {gone}"


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() & ENTRIES.keys()))
def test_an_entry_has_a_row_for_every_argument_and_option(name: str) -> None:
    assert_same(
        first_cells(ENTRIES[name]),
        _takes(COMMANDS[name]),
        f"{PAGE}, '{name}', lacks a row for `{{}}`",
        f"{PAGE}, '{name}', has a row for `{{}}`, and the command takes no such thing",
    )


def test_every_make_target_has_its_row_and_every_row_its_target() -> None:
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.M)
    assert "run" in targets
    assert_same(
        first_cells(section(PAGE, "Make targets")),
        [f"make {target}" for target in targets],
        PAGE + ", 'Make targets', lacks a row for `{}`",
        PAGE + ", 'Make targets', has a row for `{}`, and the Makefile has no such target",
    )

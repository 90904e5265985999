"""pyproject.toml declares what backend/cloudx imports, and nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Distributions whose module has another name than theirs (in lower case, with _ for -).
MODULES_OF = {
    "flask_openapi": {"flask_openapi", "flask_openapi_swagger"},
    "psycopg2_binary": {"psycopg2"},
    "pyjwt": {"jwt"},
    "python_consul2": {"consul"},
    "python_nomad": {"nomad"},
    "tzdata": {"zoneinfo"},  # its zones, where the system has none
}


def test_every_runtime_dependency_is_imported() -> None:
    imported = _imported()
    assert {name for name, modules in _declared().items() if not modules & imported} == set()


def test_every_library_that_is_imported_is_declared() -> None:
    own = {"cloudx", *sys.stdlib_module_names}
    assert _imported() - own - set().union(*_declared().values()) == set()


def test_both_locks_hold_every_dependency() -> None:
    for lock in ("run.txt", "dev.txt"):
        locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / lock).read_text(), re.MULTILINE))
        assert {name.replace("_", "-") for name in _declared()} - locked == set(), lock


def _declared() -> dict[str, set[str]]:
    """The modules of each distribution that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[\[<>=~! ]", wanted, maxsplit=1)[0] for wanted in project["dependencies"]]
    names = [name.lower().replace("-", "_") for name in names]
    return {name: MODULES_OF.get(name, {name}) for name in names}


def _imported() -> set[str]:
    """The top-level names of every absolute import, those inside functions too."""
    found: set[str] = set()
    for module in (ROOT / "backend" / "cloudx").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.partition(".")[0])
    return found

"""The shape of backend/cloudx: rooms small enough to be seen at once, modules short enough to be read in one go."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "backend" / "cloudx"
MIGRATIONS = PACKAGE / "adapters" / "database" / "migrations"  # Alembic reads these files by their path
MAX_MODULES = 20
MAX_LINES = 300

MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted({module.parent for module in MODULES})


def test_the_package_is_found() -> None:
    assert PACKAGE in ROOMS and len(ROOMS) > 20 and len(MODULES) > 200


def test_no_room_holds_more_than_twenty_modules() -> None:
    sizes = {_name(room): sum(path.name != "__init__.py" for path in room.glob("*.py")) for room in ROOMS}
    assert {room: size for room, size in sizes.items() if size > MAX_MODULES} == {}


def test_no_module_has_more_than_three_hundred_lines() -> None:
    lengths = {_name(module): len(module.read_text().splitlines()) for module in MODULES}
    assert {module: length for module, length in lengths.items() if length > MAX_LINES} == {}


def test_every_room_says_what_it_is_for() -> None:
    packages = [room for room in ROOMS if not room.is_relative_to(MIGRATIONS)]
    assert [_name(room) for room in packages if not _docstring(room / "__init__.py")] == []


def _docstring(module: Path) -> str | None:
    return ast.get_docstring(ast.parse(module.read_text())) if module.exists() else None


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))

"""docs/operations.md, "Settings", has a row for every setting, and for nothing else."""

from __future__ import annotations

from cloudx.config import Settings
from fixtures.doc_pages import assert_same, first_cells, section

PAGE = "docs/operations.md"


def test_every_setting_has_its_row_and_every_row_its_setting() -> None:
    assert_same(
        first_cells(section(PAGE, "Settings")),
        [name.upper() for name in Settings.model_fields],
        PAGE + ", 'Settings', lacks a row for `{}`: its default and what it does",
        PAGE + ", 'Settings', has a row for `{}`, and config.py knows no such setting",
    )

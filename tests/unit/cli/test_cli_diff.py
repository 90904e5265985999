"""What `cloudx diff` makes of the API's answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.cli.diff.command import DiffFormat, as_document, chosen_format
from cloudx.cli.diff.table import changes_table, summary_line
from cloudx.domain.errors import InvalidInput
from cloudx.terminal import out

PAGE = {"from": "a", "to": "b", "summary": {"opened": 2}, "items": [{"change": "opened"}], "next_cursor": "more"}
FINDING = {"ip": "10.0.0.1", "port": 80, "protocol": "tcp", "state": "open", "service": "http", "hostname": "h"}


@pytest.mark.parametrize(("asked", "file", "as_json", "chosen"), [
    (None, None, False, None),
    (None, None, True, DiffFormat.JSON),
    (DiffFormat.CSV, None, False, DiffFormat.CSV),
    (None, Path("x.csv"), False, DiffFormat.CSV),
    (None, Path("x.txt"), False, DiffFormat.JSON),
])  # fmt: skip
def test_the_format_is_chosen_as_for_results(
    asked: DiffFormat | None, file: Path | None, as_json: bool, chosen: DiffFormat | None
) -> None:
    assert chosen_format(asked, file, as_json) is chosen


def test_a_file_of_xml_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no XML"):
        chosen_format(None, Path("x.xml"), as_json=False)


@given(st.lists(st.dictionaries(st.text(), st.integers() | st.text())))
def test_the_document_has_the_counts_and_every_item(items: list[dict[str, Any]]) -> None:
    lines = b"".join(json.dumps(item).encode() + b"\n" for item in items)
    document = json.loads(b"".join(as_document(PAGE, [lines[:7], lines[7:]])))
    assert document == PAGE | {"items": items, "next_cursor": None}


def test_the_counts_are_a_line() -> None:
    counts = {"opened": 1, "closed": 2, "changed": 0, "unchanged": 1203, "not_observed": 4}
    assert summary_line(counts) == "1 opened, 2 closed, 0 changed, 1,203 unchanged, 4 not observed"


def test_a_row_shows_both_sides_and_no_banner_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = FINDING | {"product": "evil\x1b[31m\nserver"}
    item = {"change": "changed", "ip": "10.0.0.1", "protocol": "tcp", "port": 80, "before": FINDING, "after": hostile}
    gone = item | {"change": "not_observed", "after": None}
    out.cache_clear()
    out().print(changes_table([item, gone]))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and r"evil\x1b[31m\nserver" in shown
    assert [line.split()[:3] for line in shown.splitlines() if "10.0.0.1" in line] == [
        ["changed", "10.0.0.1", "80/tcp"],
        ["not", "observed", "10.0.0.1"],
    ]

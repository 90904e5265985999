"""Formats of `cloudx results`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.cli.results_command import ResultFormat, as_array, choose_format


@pytest.mark.parametrize(
    ("asked", "file", "as_json", "chosen"),
    [
        (None, None, False, None),
        (None, None, True, ResultFormat.JSON),
        (ResultFormat.CSV, None, False, ResultFormat.CSV),
        (ResultFormat.CSV, Path("x.json"), False, ResultFormat.CSV),
        (None, Path("x.csv"), False, ResultFormat.CSV),
        (None, Path("x.XML"), False, ResultFormat.XML),
        (None, Path("x.ndjson"), False, ResultFormat.NDJSON),
        (None, Path("x.txt"), False, ResultFormat.JSON),
        (None, Path("-"), False, ResultFormat.JSON),
        (None, Path("x.csv"), True, ResultFormat.JSON),
    ],
)
def test_the_format_is_what_was_asked_else_the_file_s_ending_else_a_table(
    asked: ResultFormat | None, file: Path | None, as_json: bool, chosen: ResultFormat | None
) -> None:
    assert choose_format(asked, file, as_json) is chosen


@given(
    st.lists(st.dictionaries(st.text(), st.integers() | st.text())),
    st.lists(st.integers(1, 40)),
    st.booleans(),
)
def test_lines_cut_anywhere_become_one_array_of_the_same_documents(
    documents: list[dict[str, object]], cuts: list[int], ends_with_newline: bool
) -> None:
    text = b"\n".join(json.dumps(document).encode() for document in documents)
    if ends_with_newline and documents:
        text += b"\n"
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(text[at : at + cut])
        at += cut
    pieces.append(text[at:])
    assert json.loads(b"".join(as_array(pieces))) == documents

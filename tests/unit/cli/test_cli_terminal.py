"""Text of foreign origin on a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.terminal import CELL_LIMIT, print_json, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nginx 1.25", "nginx 1.25"),
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("a\rb\nc\td", "a\\rb\\nc\\td"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202edcba", "abc\\u202edcba"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("[red]not markup[/red]", "[red]not markup[/red]"),
        ("größe 日本", "größe 日本"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_could_steer_a_terminal_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_no_control_or_format_character_ever_gets_through(text: str) -> None:
    kinds = {unicodedata.category(character) for character in visible(text)}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_a_banner_of_a_megabyte_is_cut_to_a_cell() -> None:
    assert len(visible("x" * 1_000_000)) == CELL_LIMIT
    assert visible("x" * 1_000_000).endswith("…")


def test_json_for_programs_is_ascii_without_controls(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"banner": "\x1b[2J\x7f\x9b日本"})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert not any(unicodedata.category(character) == "Cc" for character in printed.replace("\n", ""))

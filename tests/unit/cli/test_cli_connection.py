"""Where the command line finds the API and its token."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudx.cli.connection import Connection, NoApiKnown, find_connection
from cloudx.config import load_settings
from cloudx.domain.errors import BadConfiguration
from cloudx.processes.first_start import write_cli_file


def _found(folder: Path, **environ: str) -> Connection:
    return find_connection(load_settings({"CLOUDX_DATA_DIR": str(folder), **environ}))


def test_the_environment_comes_first(tmp_path: Path) -> None:
    write_cli_file(tmp_path, "http://127.0.0.1:5001", "cx_kept")
    found = _found(tmp_path, CLOUDX_URL="https://scan.example.org/", CLOUDX_TOKEN="cx_given")
    assert found == Connection("https://scan.example.org", "cx_given", "CLOUDX_TOKEN")


def test_without_an_environment_it_is_what_up_wrote(tmp_path: Path) -> None:
    write_cli_file(tmp_path, "http://127.0.0.1:5001", "cx_kept")
    assert _found(tmp_path) == Connection("http://127.0.0.1:5001", "cx_kept", str(tmp_path / "cli.json"))


def test_an_open_install_needs_no_token(tmp_path: Path) -> None:
    write_cli_file(tmp_path, "http://127.0.0.1:5001", None)
    assert _found(tmp_path).token is None


def test_the_kept_token_is_never_sent_to_another_address(tmp_path: Path) -> None:
    write_cli_file(tmp_path, "http://127.0.0.1:5001", "cx_kept")
    assert _found(tmp_path, CLOUDX_URL="http://elsewhere.example:5001").token is None
    assert _found(tmp_path, CLOUDX_URL="http://127.0.0.1:5001/").token == "cx_kept"


def test_a_token_alone_goes_to_the_kept_address(tmp_path: Path) -> None:
    write_cli_file(tmp_path, "http://127.0.0.1:5001", "cx_kept")
    assert _found(tmp_path, CLOUDX_TOKEN="cx_ann").token == "cx_ann"


def test_where_nothing_runs_it_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(NoApiKnown, match=r"make run.*cloudx up.*CLOUDX_URL and CLOUDX_TOKEN"):
        _found(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": "http://x"}', "null"])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / "cli.json").write_text(text)
    with pytest.raises(NoApiKnown, match="damaged"):
        _found(tmp_path)


@pytest.mark.parametrize("token", ["two words", "cx_\x1bz", "cx_ü", "cx_a\nX-Evil: 1"])
def test_a_token_that_no_header_can_carry_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(BadConfiguration, match="CLOUDX_TOKEN"):
        _found(tmp_path, CLOUDX_URL="http://127.0.0.1:1", CLOUDX_TOKEN=token)

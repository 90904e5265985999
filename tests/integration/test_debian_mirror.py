"""The base image's packages come from the mirror of the machine's own apt sources. Needs apt-get."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "debian-mirror"

ONE_LINE = """\
# deb http://off.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://other.example/tool bookworm-tool main
deb http://mirror.example/debian/ bookworm main contrib
deb http://safe.example/debian-security bookworm-security main
"""
DEB822 = """\
Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://safe.example/debian-security
Suites: bookworm-security
Components: main
"""


def mirrors(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the script prints on a machine whose apt has `folder` in the place of /etc/apt."""
    config = folder / "apt.conf"
    config.write_text(f'Dir::Etc "{folder}";\nDir::State "{folder}/state";\nDir::Cache "{folder}/cache";\n')
    (folder / "state" / "lists" / "partial").mkdir(parents=True)
    kept = {name: value for name, value in os.environ.items() if name != "DEBIAN_MIRROR"}
    return subprocess.run(
        [SCRIPT], env=kept | {"APT_CONFIG": str(config)} | environment, capture_output=True, text=True, timeout=20
    )


@pytest.mark.parametrize(
    ("file", "text"),
    [("sources.list", ONE_LINE), ("sources.list.d/a.list", ONE_LINE), ("sources.list.d/debian.sources", DEB822)],
)
def test_it_is_found_in_whatever_file_and_form_the_sources_are_written(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / file).write_text(text)
    found = mirrors(tmp_path)
    assert found.stdout.split() == ["http://mirror.example/debian", "http://safe.example/debian-security"], found.stderr


def test_a_mirror_that_is_named_wins(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(ONE_LINE)
    found = mirrors(tmp_path, DEBIAN_MIRROR="http://near.example/debian/")
    assert found.stdout.split() == ["http://near.example/debian", "http://near.example/debian-security"], found.stderr


def test_without_a_mirror_of_debian_it_says_how_to_name_one(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://other.example/ubuntu noble main\n")
    found = mirrors(tmp_path)
    assert found.returncode == 1 and found.stdout == ""
    assert "DEBIAN_MIRROR=http://… make image" in found.stderr

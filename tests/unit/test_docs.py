"""The documentation names files that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
]
# A path in backticks: at least one folder, and an ending that this tree uses.
_PATH = re.compile(r"`((?:[A-Za-z0-9_.-]+/)+[A-Za-z0-9_.-]+\.(?:py|sql|sh|md|hcl|yml|toml))`")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
# Made by a run, not kept in the tree.
_MADE = re.compile(r"^\.(dev|rig)/|^data/|^build/|\bNAME\b")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_path_and_link_in_a_document_leads_to_a_file(document: Path) -> None:
    text = document.read_text()
    bases = (ROOT, ROOT / "backend" / "cloudx", document.parent, document.parent / "..")
    paths = [path for path in _PATH.findall(text) if not _MADE.search(path)]
    links = [link for link in _LINK.findall(text) if "://" not in link]
    missing = [path for path in paths if not any((base / path).exists() for base in bases)]
    missing += [link for link in links if not (document.parent / link).exists()]
    assert missing == []


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = ROOT / "docs" / "adr"
    listed = set(_LINK.findall((folder / "README.md").read_text()))
    assert {file.name for file in folder.glob("0*.md")} == listed

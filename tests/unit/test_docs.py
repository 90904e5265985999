"""What the documentation names exists: paths and modules in backticks, links, a row for each decision."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = PurePosixPath("backend/cloudx")
DECISIONS = ROOT / "docs" / "adr"
EXTENSIONS = {".py", ".sql", ".hcl", ".md", ".toml", ".yml", ".sh", ".mako", ".json"}
MADE_BY_A_RUN = ("runs/", "cli.json")  # in the data folder
IGNORED = tuple(line for line in (ROOT / ".gitignore").read_text().splitlines() if line.endswith("/"))


def listed(*arguments: str) -> list[str]:
    """Files that git knows or would add, and that are there."""
    options = ("-z", "--cached", "--others", "--exclude-standard", "--", *arguments)
    names = subprocess.run(["git", "ls-files", *options], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [name for name in names.split("\0") if name and (ROOT / name).is_file()]


TREE = {str(path) for name in listed() for path in (PurePosixPath(name), *PurePosixPath(name).parents)} - {"."}
ROOMS = {name.rpartition("/")[2] for name in TREE if PurePosixPath(name).parent in (PurePosixPath(), PACKAGE)}
PAGES = listed("*.md")

IN_BACKTICKS = re.compile(r"`([^`]+)`")
A_PATH = re.compile(r"\.?[\w*-]+(?:[./][\w*-]+)*/?")
A_MODULE = re.compile(r"cloudx(?:\.\w+){2,}(?=:\w+$|$)")
A_LINK = re.compile(r"\]\((?!\w+:)([^)\s#]*)(?:#([^)\s]+))?\)")


def without_code_blocks(text: str) -> str:
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.S | re.M)


def blocks(text: str) -> Iterator[str]:
    """Paragraphs and rows of tables: a path in one may be relative to a path before it."""
    for paragraph in re.split(r"\n\s*\n", without_code_blocks(text)):
        yield from paragraph.splitlines() if paragraph.lstrip().startswith("|") else [paragraph]


def named_paths(block: str) -> Iterator[str]:
    """What a block names in backticks, commands taken word by word: paths, and modules as paths."""
    for code in IN_BACKTICKS.findall(block):
        for word in code.split():
            if module := A_MODULE.match(word):
                yield module[0].removeprefix("cloudx.").replace(".", "/") + ".py"
            elif is_path(word := word.removeprefix("@")):
                yield word


def is_path(word: str) -> bool:
    """True for what looks like a file or folder of this tree, and not like a URL, a setting or a file of a run."""
    if A_PATH.fullmatch(word) is None or word.startswith((*MADE_BY_A_RUN, *IGNORED)):
        return False
    is_in_a_room = "/" in word and word.split("/")[0] in ROOMS
    return is_in_a_room or word.endswith("/") or PurePosixPath(word).suffix in EXTENSIONS


def resolve(word: str, folders: list[PurePosixPath]) -> PurePosixPath | None:
    """Where the tree has it; NAME stands for any name."""
    pattern = re.sub(r"\bNAME\b", "*", word.rstrip("/"))
    for folder in folders:
        wanted = str(folder / pattern)
        found = [wanted] if wanted in TREE else [name for name in TREE if "*" in wanted and matches(name, wanted)]
        if found:
            return PurePosixPath(found[0])
    return None


def matches(name: str, pattern: str) -> bool:
    """As a shell matches: a star stays within its folder."""
    return name.count("/") == pattern.count("/") and fnmatchcase(name, pattern)


def missing_paths(text: str, page: str) -> list[str]:
    """What the text of a page names and the tree lacks."""
    missing = []
    for block in blocks(text):
        folders = [PurePosixPath(), PACKAGE, PurePosixPath(page).parent]
        for word in named_paths(block):
            path = resolve(word, folders)
            if path is None:
                missing.append(word)
            else:
                folders += [path, *path.parents]
    return missing


def dead_links(text: str, page: str) -> list[str]:
    """Links of a page to files or headings that do not exist."""
    dead = []
    for target, heading in A_LINK.findall(without_code_blocks(text)):
        file = (ROOT / page).parent / target if target else ROOT / page
        is_dead = not file.resolve().exists()
        if is_dead or (heading and heading not in headings(file.read_text())):
            dead.append(f"{target}#{heading}" if heading else target)
    return dead


def headings(text: str) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", without_code_blocks(text), flags=re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    assert missing_paths((ROOT / page).read_text(), page) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading_that_exist(page: str) -> None:
    assert dead_links((ROOT / page).read_text(), page) == []


def test_every_decision_has_its_row_with_its_number_and_title() -> None:
    rows = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| (.+) \|$", (DECISIONS / "README.md").read_text(), flags=re.M)
    files = sorted(file.name for file in DECISIONS.glob("[0-9]*.md"))
    assert [name for _, name, _ in rows] == files
    first_lines = [(DECISIONS / name).read_text().splitlines()[0] for name in files]
    assert [f"# {number} {title}" for number, _, title in rows] == first_lines
    assert [number for number, _, _ in rows] == [name[:4] for name in files]


@pytest.mark.parametrize(
    "text",
    [
        "`domain/planning/chunk_plan.py`", "`backend/cloudx/config.py`", "`scripts/rig`", "`jobs/backend.nomad.hcl`",
        "`cloudx.server.wsgi:app`", "`nomad job run jobs/scan.nomad.hcl`", "`jobs/NAME.nomad.hcl`", "`jobs/*.hcl`",
        "`domain/chunks.py`, then `scans.py`", "`operations.md`", "`adapters/` holds `database/` (`schema/`)",
        "`GET /api/nodes`", "`.dev/env`", "`secret/cloudx/api`", "`postgresql://user@host/db`", "`A_NAME=nomad`",
        "```\nsome/where.py\n```",
    ],
)  # fmt: skip
def test_what_exists_is_found_and_what_is_no_path_is_left_alone(text: str) -> None:
    assert missing_paths(text, "docs/cli.md") == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`domain/planning/no_plan.py`", "domain/planning/no_plan.py"),
        ("`chunk_plan.py`", "chunk_plan.py"),  # neither beside the page nor below a path before it
        ("`domain/chunks.py`\n\nand `scans.py`", "scans.py"),
        ("`scripts/no-such-script --help`", "scripts/no-such-script"),
        ("`cloudx.wsgi:app`, `cloudx.server.nowhere`", "server/nowhere.py"),
        ("`no_such_room/`", "no_such_room/"),
        ("`jobs/NAME.py`", "jobs/NAME.py"),
        ("`tests/*.hcl`", "tests/*.hcl"),
    ],
)
def test_a_path_that_does_not_exist_is_found(text: str, missing: str) -> None:
    assert missing_paths(text, "docs/cli.md") == [missing]


def test_a_dead_link_is_found() -> None:
    page = "docs/cli.md"
    assert dead_links("[a](operations.md#settings) [b](adr/README.md) [c](https://example.com/x)", page) == []
    assert dead_links("[a](operations.md#no-such-part) [b](nowhere.md)", page) == [
        "operations.md#no-such-part",
        "nowhere.md",
    ]

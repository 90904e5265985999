"""jobs/README.md has every variable of every job file, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fixtures.doc_pages import ROOT, assert_same, first_cells, sections

PAGE = "jobs/README.md"
JOBS = {file.name.removesuffix(".nomad.hcl"): file for file in sorted((ROOT / "jobs").glob("*.nomad.hcl"))}
ENTRIES = {title.removeprefix("Variables of "): text for title, text in sections(PAGE, 3).items()
           if title.startswith("Variables of ")}  # fmt: skip


def variables_of(file: Path) -> list[str]:
    """The names that `-var` takes."""
    return re.findall(r'^variable "(\w+)"', file.read_text(), re.M)


def test_every_job_has_its_heading_and_every_heading_its_job() -> None:
    assert_same(
        ENTRIES,
        JOBS,
        PAGE + " lacks a heading '### Variables of {}'",
        PAGE + " has the heading '### Variables of {}', and jobs/ has no such file",
    )


@pytest.mark.parametrize("job", sorted(JOBS.keys() & ENTRIES.keys()))
def test_every_variable_of_a_job_has_its_row_and_every_row_its_variable(job: str) -> None:
    assert_same(
        first_cells(ENTRIES[job]),
        variables_of(JOBS[job]),
        f"{PAGE}, 'Variables of {job}', lacks a row for `{{}}`",
        f"{PAGE}, 'Variables of {job}', has a row for `{{}}`, and the file has no such variable",
    )

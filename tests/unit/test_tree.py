"""What no tracked file may hold: the host of a package registry. Each machine's own settings name the ones it uses."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Written apart, or this file would hold them.
REGISTRIES = [
    ("pypi", "org"), ("pythonhosted", "org"), ("pypa", "io"),
    ("debian", "org"), ("ubuntu", "com"), ("alpinelinux", "org"), ("fedoraproject", "org"),
    ("npmjs", "org"), ("npmjs", "com"), ("yarnpkg", "com"), ("jsdelivr", "net"), ("unpkg", "com"),
    ("proxy", "golang", "org"), ("sum", "golang", "org"), ("goproxy", "io"), ("goproxy", "cn"),
    ("registry-1", "docker", "io"), ("index", "docker", "io"), ("hub", "docker", "com"),
    ("ghcr", "io"), ("quay", "io"), ("gcr", "io"), ("pkg", "dev"),
    ("crates", "io"), ("rubygems", "org"), ("maven", "org"),
]  # fmt: skip
A_REGISTRY = re.compile(rf"(?<![\w-])({'|'.join(re.escape('.'.join(labels)) for labels in REGISTRIES)})(?![\w-])", re.I)


def test_no_file_names_the_host_of_a_package_registry() -> None:
    assert _lines_that_match(A_REGISTRY) == []


@pytest.mark.parametrize("labels", REGISTRIES)
def test_a_registry_s_host_would_be_found_wherever_it_stands(labels: tuple[str, ...]) -> None:
    host = ".".join(labels)
    for line in (host, f"https://{host}/simple", f"deb http://files.{host}/x main", f"--index-url={host}"):
        assert A_REGISTRY.search(line), line
    assert not A_REGISTRY.search(f"a{host}") and not A_REGISTRY.search(host + "x")


def _lines_that_match(pattern: re.Pattern[str]) -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    found = []
    for name in listed.split("\0"):
        file = ROOT / name
        if not name or not file.is_file():
            continue
        lines = file.read_text(errors="replace").splitlines()
        found += [f"{name}:{number}: {line.strip()}" for number, line in enumerate(lines, 1) if pattern.search(line)]
    return found

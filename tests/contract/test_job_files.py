"""What Nomad says of the files in jobs/, by scripts/validate-jobs. Needs the program, and no running Nomad."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fixtures.servers.cluster_servers import ROOT, server_path


def validate(checkout: Path, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run it, with a cache of servers that is empty where one is given, and no Nomad on PATH then."""
    environment = dict(os.environ)
    if cache is not None:
        folders = [folder for folder in os.environ["PATH"].split(":") if not (Path(folder) / "nomad").exists()]
        environment |= {"CLOUDX_CACHE_DIR": str(cache), "PATH": ":".join(folders)}
    return subprocess.run(
        [checkout / "scripts" / "validate-jobs"], env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the script reads, and Nomad where the script looks for it."""
    server_path("nomad")
    for folder in ("scripts", "jobs", "tools"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def test_every_job_file_is_valid_with_each_driver(checkout: Path) -> None:
    done = validate(checkout)
    files = len(list((ROOT / "jobs").glob("*.nomad.hcl")))
    assert done.returncode == 0, done.stdout
    assert done.stdout == f"jobs/: {files} files valid\n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("datacenters = var", "datacentres = var"), "Unsupported argument"),
        (('\njob "', '\n  job "'), "not in Nomad's form"),
    ],
    ids=["content", "form"],
)
def test_a_job_file_that_nomad_would_refuse_fails_the_check(checkout: Path, change: tuple[str, str], says: str) -> None:
    file = checkout / "jobs" / "backend.nomad.hcl"
    assert change[0] in file.read_text()
    file.write_text(file.read_text().replace(*change))
    done = validate(checkout)
    assert done.returncode == 1
    assert says in done.stdout


def test_without_nomad_the_check_says_that_it_did_not_look(checkout: Path, tmp_path: Path) -> None:
    done = validate(checkout, cache=tmp_path / "nothing")
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "jobs/ is not validated")

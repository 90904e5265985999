"""What Nomad says of the files in jobs/, by scripts/validate-jobs. Needs the program, and no running Nomad."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fixtures.servers.cluster_servers import ROOT, server_path
from fixtures.servers.fabio import job


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


JOBS = sorted(file.name.partition(".")[0] for file in (ROOT / "jobs").glob("*.nomad.hcl"))
SECRET_JOBS = {"backend", "fabio", "postgres", "schedule"}  # their tasks hold what belongs to the whole install
DEFAULT_DEADLINE_NS = 10 * 60 * 10**9


def tasks(name: str, driver: str) -> list[dict[str, Any]]:
    return [task for group in job(name, f"driver={driver}")["TaskGroups"] for task in group["Tasks"]]


@pytest.mark.parametrize("name", JOBS)
def test_every_container_has_a_read_only_root_no_new_privileges_and_no_capability_it_does_not_name(name: str) -> None:
    for task in tasks(name, "docker"):
        config = task["Config"]
        assert (config["readonly_rootfs"], config["security_opt"]) == (True, ["no-new-privileges"]), task["Name"]
        assert config["cap_drop"] == ["all"], task["Name"]
        assert not config.get("privileged") and "volumes" not in config, task["Name"]


@pytest.mark.parametrize("name", JOBS)
def test_every_job_with_an_update_block_says_when_a_rollout_has_failed(name: str) -> None:
    about = job(name)
    updates = [each["Update"] for each in (about, *about["TaskGroups"]) if each["Update"]]
    assert bool(updates) == (about["Type"] != "batch")
    for update in updates:
        assert update["ProgressDeadline"] is not None and update["ProgressDeadline"] < DEFAULT_DEADLINE_NS


@pytest.mark.parametrize("name", JOBS)
def test_what_holds_the_install_s_secrets_runs_on_control_nodes_and_the_rest_beside_them(name: str) -> None:
    pool = job(name)["NodePool"]
    assert pool == ("control" if name in SECRET_JOBS else "default")


@pytest.mark.parametrize("name", sorted(SECRET_JOBS))
def test_control_nodes_may_be_named_one_by_one(name: str) -> None:
    assert job(name)["Constraints"] is None
    (constraint,) = job(name, 'control_nodes=["one","two"]')["Constraints"]
    assert constraint == {"LTarget": "${node.unique.id}", "Operand": "set_contains_any", "RTarget": "one,two"}

"""A command that fails says so in one line, `error: SENTENCE (code)`; and none runs or trusts what others planted."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from fixtures.servers.service import CLOUDX, Service, free_port
from rig.environment import clean_environment
from rig.waiting import until

WRONG_USAGE = [
    "scan --ports",
    "scan --frob 127.0.0.1",
    "frobnicate",
    "scan 127.0.0.1 --tool nmpa",
    "scans --limit many",
    "show",
    "results last --format exe",
    "tokens add --role king me",
    "worker --sacn s-1",
    "worker --scan",
    "cluster drain",
    "cluster frob",
    "db",
    "dev --driver lxc",
    "agent --checks",
]
PLANTED = ("gunicorn", "json", "typing", "consul", "cloudx", "sitecustomize", "logging")


def run(*argv: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder of its own, without any setting of this shell."""
    environment = clean_environment(**settings)
    return subprocess.run(
        [*CLOUDX, *argv], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("typed", WRONG_USAGE)
def test_wrong_usage_is_one_line_that_names_the_commands_help(typed: str, tmp_path: Path) -> None:
    refused = run(*typed.split(), cwd=tmp_path)
    if typed == "db":  # a group alone shows its help
        assert (refused.returncode, "upgrade" in refused.stdout + refused.stderr) == (2, True)
        return
    assert refused.returncode == 2, refused
    assert refused.stdout == ""
    assert re.fullmatch(r"error: .+ `cloudx[a-z ]* --help` shows how to use it\. \(usage\)\n", refused.stderr), (
        refused.stderr
    )


@pytest.mark.parametrize(
    ("argv", "settings", "code", "exit_code"),
    [
        (["scans"], {}, "no_api_known", 1),
        (["scans"], {"CLOUDX_URL": "http://127.0.0.1:1"}, "api_unreachable", 1),
        (["scans"], {"CLOUDX_FROB": "1"}, "bad_configuration", 2),
        (["up"], {"PORT": "many"}, "bad_configuration", 2),
        (["serve"], {"CLOUDX_EXECUTOR": "nomad"}, "bad_configuration", 2),
        (["worker"], {"CLOUDX_CHUNK_SECONDS": "0"}, "bad_configuration", 2),
        (["agent"], {}, "bad_configuration", 2),
        (["dev"], {}, "bad_configuration", 2),
        (["cluster", "rollout", "nothing"], {}, "invalid_input", 2),
    ],
)
def test_every_command_fails_in_the_same_form(
    argv: list[str], settings: dict[str, str], code: str, exit_code: int, tmp_path: Path
) -> None:
    failed = run(*argv, cwd=tmp_path, **settings)
    assert failed.returncode == exit_code, failed
    assert re.fullmatch(rf"error: .+ \({code}\)\n", failed.stderr), failed.stderr


def test_no_other_module_prints_an_error_of_its_own() -> None:
    backend = Path(__file__).parents[2] / "backend" / "cloudx"
    printing = [file.name for file in backend.rglob("*.py") if re.search(r"""["'](error: )""", file.read_text())]
    assert printing == ["exits.py"]


@pytest.mark.parametrize("what", ["folder", "admin-token", "cli.json", "cloudx.db"])
def test_up_refuses_a_data_folder_that_others_may_write(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    if what == "folder":
        folder.chmod(0o777)
    else:
        (folder / what).touch()
        (folder / what).chmod(0o666)
    refused = run("up", cwd=tmp_path, PORT=str(free_port()), CLOUDX_DATA_DIR=str(folder))
    assert refused.returncode == 2
    assert "Others may write" in refused.stderr
    assert "chmod go-w" in refused.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
@pytest.mark.parametrize("what", ["folder", "admin-token"])
def test_up_refuses_what_belongs_to_somebody_else(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "admin-token").write_text("cx_planted\n")
    os.chown(folder if what == "folder" else folder / what, 4242, 4242)
    refused = run("up", cwd=tmp_path, PORT=str(free_port()), CLOUDX_DATA_DIR=str(folder))
    assert refused.returncode == 2
    assert "belongs to user 4242" in refused.stderr


def test_a_link_in_place_of_the_token_is_refused_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    folder, victim = tmp_path / "data", tmp_path / "victim"
    folder.mkdir(mode=0o700)
    victim.write_text("precious")
    (folder / "admin-token").symlink_to(victim)
    refused = run("up", cwd=tmp_path, PORT=str(free_port()), CLOUDX_DATA_DIR=str(folder))
    assert "is a symbolic link" in refused.stderr
    assert victim.read_text() == "precious"


def test_the_admin_token_is_shown_at_the_first_start_alone_and_kept_for_its_owner(tmp_path: Path) -> None:
    service = Service(tmp_path / "data")
    service.start()
    token = service.token
    service.stop()
    assert f"admin token: {token} (shown this once; kept in {tmp_path}/data/admin-token)" in service.log.read_text()
    service.log.unlink()
    service.start()
    service.stop()
    said = service.log.read_text()
    assert f"admin token: in {tmp_path}/data/admin-token" in said
    assert token not in said
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "data").iterdir() if file.is_file()}
    assert set(modes.values()) == {0o600}, modes


@pytest.mark.parametrize("planted_by_others", ["folder", "file"])
def test_a_planted_data_folder_does_not_get_the_token(planted_by_others: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    with socket.create_server(("127.0.0.1", 0)) as thief:
        thief.settimeout(3)
        file = folder / "cli.json"
        file.write_text(f'{{"url": "http://127.0.0.1:{thief.getsockname()[1]}", "token": null}}')
        (folder if planted_by_others == "folder" else file).chmod(0o777)
        heard: list[object] = []
        listening = threading.Thread(target=lambda: heard.append(_accepted(thief)))
        listening.start()
        refused = run("scans", cwd=tmp_path, CLOUDX_TOKEN="cx_" + "s" * 43)
        listening.join()
    assert heard == [None]
    assert refused.returncode == 2
    assert "Or set CLOUDX_URL to the API you mean. (bad_configuration)" in refused.stderr


def test_modules_planted_in_the_current_folder_are_never_run(tmp_path: Path) -> None:
    here, proof = tmp_path / "here", tmp_path / "ran"
    here.mkdir()
    for name in PLANTED:
        (here / f"{name}.py").write_text(f"open({str(proof)!r}, 'a').write(__name__ + chr(10))\nraise SystemExit(9)\n")
    environment = clean_environment(CLOUDX_DATA_DIR=str(tmp_path / "data"), PORT=str(free_port()))
    log = tmp_path / "log"
    with open(log, "wb") as said:
        up = subprocess.Popen(
            [*CLOUDX, "up"], cwd=here, env=environment, stdout=said, stderr=said, start_new_session=True
        )
    try:
        until(lambda: "Cloud-X runs at" in log.read_text() or up.poll() is not None, 30, log.read_text)
        assert up.poll() is None, log.read_text()
    finally:
        up.terminate()
        up.wait(20)
    assert not proof.exists(), proof.read_text()


def test_python_is_started_without_the_current_folder_wherever_it_is_started() -> None:
    root = Path(__file__).parents[2]
    start = re.compile(r"""(sys\.executable|\bpython3?)["']?[, ]+["']?-[mc]\b""")
    places = [*(root / "backend").rglob("*.py"), *(root / "jobs").glob("*"), *(root / "scripts").glob("*")]
    places += [root / "Makefile", root / "docker-compose.yml"]
    # Before there is a virtual environment, in a checkout, with modules of the standard library.
    allowed = {"install-packages", "compile-lock", "find-servers"}
    unsafe = [
        f"{file.relative_to(root)}: {line.strip()}"
        for file in places
        if file.is_file() and file.name not in allowed
        for line in file.read_text().splitlines()
        if start.search(line)
    ]
    assert unsafe == []


def _accepted(listener: socket.socket) -> object:
    try:
        return listener.accept()
    except TimeoutError:
        return None

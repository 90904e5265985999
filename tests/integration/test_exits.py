"""A command that fails says so in one line, `error: SENTENCE (code)`; and none trusts a file that others planted."""

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
        (["up"], {"DATABASE_URL": "garbage"}, "bad_configuration", 2),
        (["worker"], {"DATABASE_URL": "garbage"}, "bad_configuration", 2),
        (["db", "upgrade"], {"DATABASE_URL": "mysql://u@h/d"}, "bad_configuration", 2),
        (["db", "upgrade"], {"DATABASE_URL": "postgresql://u@h:many/d"}, "bad_configuration", 2),
        (["scans"], {"CLOUDX_URL": "http://[::1"}, "bad_configuration", 2),
        (["scans"], {"CLOUDX_URL": "http://127.0.0.1:99999"}, "bad_configuration", 2),
        (["agent", "--checks", "nonsense"], {"PRIMARY_NODE_URL": "http://127.0.0.1:1"}, "bad_configuration", 2),
        (["up"], {"CLOUDX_DATA_DIR": "/dev/null"}, "bad_configuration", 2),
        (["serve"], {"CLOUDX_DATA_DIR": "/dev/null"}, "bad_configuration", 2),
        (["worker"], {"CLOUDX_DATA_DIR": "/dev/null"}, "os_error", 1),
        (["worker"], {"CLOUDX_DATA_DIR": "/proc/nowhere"}, "os_error", 1),
        (["up"], {"CLOUDX_DATA_DIR": "/proc/nowhere"}, "os_error", 1),
        (["serve"], {"CLOUDX_DATA_DIR": "/proc/nowhere"}, "os_error", 1),
        (["db", "upgrade"], {"CLOUDX_DATA_DIR": "/proc/nowhere"}, "os_error", 1),
        (["up"], {"CLOUDX_BIND": "no-such-host.invalid"}, "port_in_use", 1),
        (["serve"], {"CLOUDX_BIND": "no-such-host.invalid"}, "port_in_use", 1),
        (["cluster", "status"], {"NOMAD_ADDR": "garbage"}, "bad_configuration", 2),
        (["cluster", "drain", "vps1"], {"NOMAD_ADDR": "http://127.0.0.1:1"}, "dependency_unavailable", 1),
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


@pytest.mark.parametrize("command", ["up", "serve"])
@pytest.mark.parametrize("name", ["admin-token", "cli.json", "cloudx.db", "cloudx.db-journal"])
def test_what_is_no_plain_file_is_refused_in_the_place_of_one(command: str, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / name).mkdir(mode=0o700, parents=True)
    folder.chmod(0o700)
    refused = run(command, cwd=tmp_path, PORT=str(free_port()), CLOUDX_DATA_DIR=str(folder))
    assert refused.returncode == 2
    assert f"{folder / name} is a folder." in refused.stderr


@pytest.mark.parametrize("leads_to", ["real", "nowhere"])
def test_a_link_in_place_of_the_data_folder_is_refused(leads_to: str, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "data").symlink_to(tmp_path / leads_to)
    refused = run("up", cwd=tmp_path, PORT=str(free_port()))
    assert refused.returncode == 2
    assert "data is a symbolic link. Name a folder" in refused.stderr
    assert [file.name for file in tmp_path.iterdir() if file.name != "data"] == ["real"]
    assert list((tmp_path / "real").iterdir()) == []


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


def _planted(how: str, tmp_path: Path, port: int) -> None:
    """A data folder of the current one, whose cli.json names an address; `how` says what is wrong with it."""
    folder, file = tmp_path / "data", tmp_path / "data" / "cli.json"
    folder.mkdir(mode=0o755)
    file.write_text(f'{{"url": "http://127.0.0.1:{port}", "token": null}}')
    match how:
        case "open folder":
            folder.chmod(0o777)
        case "open file":
            file.chmod(0o666)
        case "linked file":
            file.rename(tmp_path / "elsewhere")
            file.symlink_to(tmp_path / "elsewhere")
        case "linked folder":
            folder.rename(tmp_path / "elsewhere")
            folder.symlink_to(tmp_path / "elsewhere")
        case "another's folder":
            os.chown(folder, 4242, 4242)
        case "another's file":
            os.chown(file, 4242, 4242)


def _asked_with_a_token(how: str, tmp_path: Path) -> tuple[bool, subprocess.CompletedProcess[str]]:
    """Whether anything reached the planted address while `cloudx scans` ran, and how that ended."""
    with socket.create_server(("127.0.0.1", 0)) as thief:
        _planted(how, tmp_path, thief.getsockname()[1])
        heard: list[bool] = []
        listening = threading.Thread(target=lambda: heard.append(_hangs_up(thief)), daemon=True)
        listening.start()
        ended = run("scans", cwd=tmp_path, CLOUDX_TOKEN="cx_" + "s" * 43)
        # Whatever the command sent is in the queue by now; this one tells the thread to look no further.
        with socket.create_connection(thief.getsockname()) as last:
            last.sendall(b"last")
            listening.join()
    return heard[0], ended


def test_the_token_goes_to_the_address_of_a_data_folder_that_is_ours(tmp_path: Path) -> None:
    assert _asked_with_a_token("nothing", tmp_path)[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
@pytest.mark.parametrize(
    "how", ["open folder", "open file", "linked file", "linked folder", "another's folder", "another's file"]
)
def test_a_planted_data_folder_does_not_get_the_token(how: str, tmp_path: Path) -> None:
    was_asked, refused = _asked_with_a_token(how, tmp_path)
    assert not was_asked
    assert refused.returncode == 2
    assert "Or set CLOUDX_URL to the API you mean. (bad_configuration)" in refused.stderr


def _hangs_up(listener: socket.socket) -> bool:
    """True if a request came before the connection that says `last`."""
    was_asked = False
    while True:
        connection, _ = listener.accept()
        with connection:
            if connection.recv(4096) == b"last":
                return was_asked
            was_asked = True

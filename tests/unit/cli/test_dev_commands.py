"""What `cloudx dev` runs and writes, compared whole."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloudx.devcluster import servers
from cloudx.devcluster.children import Children
from cloudx.devcluster.env_file import job_variables, write_env_file
from cloudx.devcluster.layout import DevFolder
from cloudx.devcluster.leftovers import MARK, clear_leftovers, our_processes
from cloudx.devcluster.lock import claim, say_leaving
from cloudx.devcluster.ports import require_free_ports
from cloudx.devcluster.secrets import DevSecrets, fresh_secrets
from cloudx.devcluster.tail import LogTail
from cloudx.devcluster.waiting import Interrupted, wait_until
from cloudx.domain.errors import BadConfiguration, ClusterUnavailable

PROGRAMS = {name: Path(f"/programs/{name}") for name in ("consul", "vault", "nomad", "fabio")}
SECRETS = DevSecrets(consul="c", nomad="n", vault="v", nomad_in_consul="nc", postgres="p")


@pytest.fixture
def folder(tmp_path: Path) -> DevFolder:
    made = DevFolder(tmp_path)
    made.make()
    return made


def test_consul_is_in_dev_mode_unless_it_must_be_durable(folder):
    files = [f"-config-file={folder.checkout}/consul/dev.hcl", f"-config-file={folder.path}/consul.json"]
    in_memory = servers.consul_command(PROGRAMS, folder, SECRETS, durable=False)
    assert in_memory == ["/programs/consul", "agent", "-dev", *files]
    on_disk = servers.consul_command(PROGRAMS, folder, SECRETS, durable=True)
    mode = ["-server", "-bootstrap-expect=1", "-ui", f"-data-dir={folder.path}/consul"]
    assert on_disk == ["/programs/consul", "agent", *mode, *files]


def test_nomad_and_vault_are_in_dev_mode_and_carry_no_token_in_their_arguments(folder):
    nomad = servers.nomad_command(PROGRAMS, folder, SECRETS)
    files = [f"-config={folder.checkout}/nomad/dev.hcl", f"-config={folder.path}/nomad.json"]
    assert nomad == ["/programs/nomad", "agent", "-dev", "-dev-vault", *files]
    assert servers.vault_command(PROGRAMS, folder) == [
        "/programs/vault", "server", "-dev", "-dev-no-store-token", "-dev-listen-address=127.0.0.1:8200",
        f"-dev-plugin-dir={folder.path}/vault-plugins", "-log-level=warn",
    ]  # fmt: skip


def test_private_configurations_are_closed_to_others(folder):
    servers.nomad_command(PROGRAMS, folder, SECRETS)
    servers.consul_command(PROGRAMS, folder, SECRETS, durable=False)
    for name in ("nomad.json", "consul.json"):
        assert (folder.path / name).stat().st_mode & 0o777 == 0o600


def test_postgresqls_password_outlives_a_run_and_no_other_secret_does(folder):
    first, second = fresh_secrets(folder), fresh_secrets(folder)
    assert first.postgres == second.postgres
    tokens = {first.consul, first.nomad, first.vault, first.nomad_in_consul}
    assert len(tokens | {second.consul, second.nomad, second.vault, second.nomad_in_consul}) == 8


def test_what_a_shell_sources_is_quoted_private_and_finds_the_programs(folder):
    write_env_file(folder, {"ODD": "a 'b' $(c) \"d\""})
    assert folder.env.stat().st_mode & 0o777 == 0o600
    asked = ["bash", "-c", f'source {folder.env} && echo "$ODD" && echo "$PATH"']
    said = subprocess.run(asked, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True).stdout
    odd, path = said.splitlines()
    assert odd == "a 'b' $(c) \"d\""
    assert path.split(":")[:2] == [str(folder.binaries), str(Path(sys.executable).parent)]


def test_the_jobs_get_the_checkouts_command_with_raw_exec_alone():
    assert "NOMAD_VAR_command" in job_variables("raw_exec", Path("/f"))
    assert "NOMAD_VAR_command" not in job_variables("docker", Path("/f"))


def test_a_taken_port_is_named_with_its_holder():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(BadConfiguration, match=rf"{port} \(Consul; held by .*pid {os.getpid()}\)"):
            require_free_ports({port: "Consul"})
    require_free_ports({port: "Consul"})


def test_waiting_ends_when_ready_when_told_to_when_a_server_dies_and_when_it_takes_too_long():
    answers = iter((False, True))
    wait_until(lambda: next(answers), "it", 5, lambda: False)
    with pytest.raises(Interrupted):
        wait_until(lambda: False, "it", 5, lambda: True)
    with pytest.raises(ClusterUnavailable, match=r"nomad ended while we waited for it\. Its log is"):
        wait_until(lambda: False, "it", 5, lambda: "nomad")
    with pytest.raises(ClusterUnavailable, match="it is not there after 0 s"):
        wait_until(lambda: False, "it", 0, lambda: False)


def test_a_second_run_is_refused_but_waits_for_one_that_leaves(folder):
    first = claim(folder)
    with pytest.raises(BadConfiguration, match="another `make dev` runs"):
        claim(folder)
    say_leaving(first)
    second = subprocess.Popen(
        [sys.executable, "-c", f"from cloudx.devcluster import lock, layout; from pathlib import Path; "
         f"lock.claim(layout.DevFolder(Path({str(folder.checkout)!r}))); print('claimed')"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(1)
    assert second.poll() is None
    first.close()
    said, _ = second.communicate(timeout=20)
    assert said == "claimed\n"


def test_only_processes_with_our_folders_mark_are_leftovers(folder, tmp_path):
    ours = subprocess.Popen(["sleep", "60"], env={MARK: str(folder.path)})
    others = [
        subprocess.Popen(["sleep", "60"], env={MARK: str(tmp_path / "elsewhere")}),
        subprocess.Popen(["sleep", "60", ], cwd=folder.path),
        subprocess.Popen(["sleep", "60"], env={"X": f"{MARK}={folder.path}"}),
    ]  # fmt: skip
    try:
        assert [process.pid for process in our_processes(folder)] == [ours.pid]
        clear_leftovers(folder)
        ours.wait(5)
        assert our_processes(folder) == []
        assert [other.poll() for other in others] == [None, None, None]
    finally:
        for process in (ours, *others):
            process.kill()
            process.wait()


def test_a_process_id_that_was_given_to_another_program_since_is_no_leftover(folder):
    stranger = subprocess.Popen(["sleep", "60"])
    folder.children.write_text(f'{{"nomad": [{stranger.pid}, 12345.0]}}')
    try:
        assert our_processes(folder) == []
        clear_leftovers(folder)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_child_that_is_killed_is_noticed_and_started_again_only_where_it_may_be(folder):
    children = Children(folder)
    for name in ("consul", "postgres"):
        children.start(name, ["sleep", "60"], dict(os.environ))
    try:
        assert children.dead() == []
        for pid, _ in (pair for pair in _noted(folder).values()):
            os.kill(int(pid), 9)
        while len(children.dead()) < 2:
            time.sleep(0.01)
        assert not children.restart("consul", ("postgres",))
        assert children.restart("postgres", ("postgres",))
        assert children.dead() == ["consul"]
    finally:
        for name in ("consul", "postgres"):
            children.stop(name, 5)
    assert _noted(folder) == {}


def _noted(folder: DevFolder) -> dict[str, list[float]]:
    import json

    noted: dict[str, list[float]] = json.loads(folder.children.read_text())
    return noted


def test_logs_of_servers_and_tasks_are_printed_line_by_line_with_their_part(folder, monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr(sys, "stdout", said)
    (folder.logs / "consul.log").write_text("one\ntwo\nhalf")
    logs = folder.nomad / "alloc/0123456789/alloc/logs"
    logs.mkdir(parents=True)
    (logs / "backend.stderr.0").write_text("evil \x1b[31m\n")
    tail = LogTail(folder)
    tail._look()
    (folder.logs / "consul.log").write_text("one\ntwo\nhalf a line\n")
    tail._look()
    assert said.getvalue().splitlines() == [
        "       consul │ one",
        "       consul │ two",
        " backend 0123 │ evil \\x1b[31m",
        "       consul │ half a line",
    ]

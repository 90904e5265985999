"""`make dev` from start to end: taken down whole, whatever ends it; and started again after every kind of death."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cloudx.devcluster.layout import PORTS, DevFolder
from cloudx.devcluster.leftovers import MARK, our_containers, our_mounts, our_processes
from fixtures.servers.cluster import DevCluster, wait_gone
from fixtures.servers.cluster_servers import ROOT

FOLDER = DevFolder(ROOT)


@pytest.fixture
def servers(stopped_dev_cluster: DevCluster) -> Iterator[DevCluster]:
    """A cluster to start as the test likes."""
    if stopped_dev_cluster.process is not None:
        stopped_dev_cluster.stop()
    yield stopped_dev_cluster
    stopped_dev_cluster.stop()


def assert_nothing_is_left() -> None:
    assert our_processes(FOLDER) == []
    assert our_mounts(FOLDER) == []
    assert our_containers(FOLDER) == []
    assert not FOLDER.env.exists()
    for port in PORTS:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"somebody still listens on {port}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_takes_all_of_it_down_and_is_an_orderly_end(servers, number):
    servers.start("--servers-only")
    assert len(our_processes(FOLDER)) >= 4
    assert servers.stop(number) == 0
    assert_nothing_is_left()


def test_with_its_jobs_running_ctrl_c_leaves_no_process_mount_or_container(dev_cluster):
    assert our_mounts(FOLDER), "the tasks' secrets are on mounts of their own"
    assert dev_cluster.stop(signal.SIGINT) == 0
    assert_nothing_is_left()


def test_ctrl_c_during_the_start_takes_down_what_was_started(servers):
    servers.launch("--servers-only")
    while not our_processes(FOLDER):
        assert servers.is_running(), servers.said()
    assert servers.stop(signal.SIGINT) == 0
    assert_nothing_is_left()


def test_a_server_that_dies_ends_the_run_with_its_name_and_nothing_left(servers):
    servers.start("--servers-only")
    os.kill(servers.child_pid("nomad"), signal.SIGKILL)
    assert servers.process.wait(90) == 1
    assert "error: nomad ended; its log is .dev/logs/nomad.log" in servers.said()
    assert_nothing_is_left()


def test_postgresql_that_dies_is_started_again_and_its_data_is_there(servers):
    servers.start("--servers-only")
    url = f"postgresql://postgres@127.0.0.1:54329/cloudx?password={(FOLDER.path / 'postgres-password').read_text()}"
    before = servers.child_pid("postgres")
    os.kill(before, signal.SIGKILL)
    wait_gone(before)
    asked = "for i in $(seq 100); do psql -Atc 'select 1' \"$0\" && break; sleep 0.2; done"
    said = subprocess.run(["bash", "-c", asked, url], capture_output=True, text=True, timeout=60, check=False)
    assert said.stdout == "1\n", said.stderr
    assert servers.child_pid("postgres") != before
    assert servers.is_running()


def test_a_taken_port_is_named_with_who_holds_it_before_anything_starts(servers):
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 8500))
        holder.listen()
        servers.launch("--servers-only")
        assert servers.wait(30) == 2
    assert f"8500 (Consul; held by {psutil.Process().name()}, pid {os.getpid()})" in servers.said()
    assert "Stop what listens there" in servers.said()
    assert_nothing_is_left()


def test_a_second_run_in_the_same_checkout_says_that_one_runs_and_does_not_disturb_it(servers, tmp_path):
    servers.start("--servers-only")
    second = DevCluster(tmp_path)
    second.launch("--servers-only")
    assert second.wait(30) == 2
    assert "another `make dev` runs in" in second.said()
    assert servers.is_running()
    assert servers.shell("consul members").returncode == 0


def test_outside_a_checkout_it_says_where_it_must_be_run(tmp_path):
    from fixtures.servers.service import CLOUDX

    done = subprocess.run([*CLOUDX, "dev"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "is no checkout of Cloud-X" in done.stderr
    assert not (tmp_path / ".dev").exists()


def test_after_kill_9_of_the_run_alone_the_next_one_recovers(dev_cluster):
    submitted = dev_cluster.api(
        "POST", "/api/scans", json={"target": "127.0.0.1", "tool": "nmap", "scan_type": "quick"}
    )
    assert submitted.status_code == 202, submitted.text
    dev_cluster.stop(signal.SIGKILL)
    dev_cluster.start()
    scan = dev_cluster.api("GET", f"/api/scans/{submitted.json()['job_id']}")
    assert scan.status_code == 200, "the ledger outlives the run"


def test_after_kill_9_of_everything_tasks_and_mounts_are_cleared_and_a_bystander_lives(dev_cluster):
    bystander = subprocess.Popen(["sleep", "600"], cwd=FOLDER.path, env={"NOT" + MARK: str(FOLDER.path)})
    try:
        kill_everything_but_the_tasks(dev_cluster)
        orphans = our_processes(FOLDER)
        assert "cloudx.server.run" in " ".join(map(command_line, orphans)), "kill -9 of Nomad leaves its tasks"
        assert our_mounts(FOLDER)
        dev_cluster.start()
        assert not any(one.is_running() for one in orphans)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def command_line(process: psutil.Process) -> str:
    """Empty for one that has ended since it was listed."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def kill_everything_but_the_tasks(cluster: DevCluster) -> None:
    servers = [cluster.child_pid(name) for name in ("nomad", "consul", "vault", "postgres")]
    os.kill(cluster.pid, signal.SIGSTOP)
    for pid in (*servers, cluster.pid):
        os.kill(pid, signal.SIGKILL)
    cluster.wait(10)


def test_what_it_keeps_is_closed_to_other_users(dev_cluster):
    assert FOLDER.path.stat().st_mode & 0o777 == 0o700
    assert FOLDER.env.stat().st_mode & 0o777 == 0o600
    for file in FOLDER.path.iterdir():
        assert file.is_symlink() or file.is_dir() or file.stat().st_mode & 0o077 == 0, file


def test_it_listens_on_loopback_alone(dev_cluster):
    pids = {process.pid for process in our_processes(FOLDER)}
    connections = psutil.net_connections("tcp")
    listening = [c.laddr for c in connections if c.status == psutil.CONN_LISTEN and c.pid in pids and c.laddr]
    assert {8500, 4646, 8200, 9999, 9998} <= {address.port for address in listening}
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_no_list_of_processes_shows_a_token(dev_cluster):
    known = dev_cluster.environment
    secrets = [known[name] for name in ("CLOUDX_TOKEN", "NOMAD_TOKEN", "CONSUL_HTTP_TOKEN", "VAULT_TOKEN")]
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace") for pid in psutil.pids() if _lives(pid)]
    assert not [line for line in lines for secret in secrets if secret in line]


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists()

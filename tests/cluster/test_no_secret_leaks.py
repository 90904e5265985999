"""The real values of every secret of a running cluster, looked for everywhere they must not be."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest
import requests

from cloudx.devcluster.layout import DevFolder
from cloudx.devcluster.leftovers import our_containers
from fixtures.secret_search import (
    FABIO_PAGES,
    command_lines,
    found_in,
    job_documents,
    logs,
    pages,
    real_secrets,
    repository_files,
    server_environments,
    task_environments,
)
from fixtures.servers.cluster import DevCluster
from fixtures.servers.cluster_servers import ROOT
from fixtures.servers.containers import docker
from fixtures.tasks import running_scan, submit
from rig.waiting import until

TASKS_WITH_LOGINS = ("backend", "migrate", "scan")


@pytest.fixture
def secrets(dev_cluster: DevCluster) -> Iterator[dict[str, bytes]]:
    """Every kind of them, while a scan runs: a search for none finds none."""
    with running_scan(dev_cluster):
        yield _every_kind(dev_cluster)


def _every_kind(dev_cluster: DevCluster) -> dict[str, bytes]:
    found = real_secrets(dev_cluster)
    for task in TASKS_WITH_LOGINS:
        assert any(name.startswith(f"database login of {task} ") for name in found), sorted(found)
    for kind in (
        "consul_token of backend",
        "consul_token of fabio",
        "nomad_token of backend",
        "nomad_cloudx.jwt of node",
    ):
        assert any(name.startswith(kind) for name in found), f"{kind}: {sorted(found)}"
    assert len(set(found.values())) > 12
    return found


def test_the_values_searched_for_are_the_real_ones(dev_cluster, secrets):
    for server, header, name, path in (
        ("NOMAD_ADDR", "X-Nomad-Token", "NOMAD_TOKEN", "/v1/acl/token/self"),
        ("CONSUL_HTTP_ADDR", "X-Consul-Token", "Nomad's own Consul token", "/v1/acl/token/self"),
        ("VAULT_ADDR", "X-Vault-Token", "VAULT_TOKEN", "/v1/auth/token/lookup-self"),
    ):
        url = dev_cluster.environment[server] + path
        assert requests.get(url, headers={header: secrets[name].decode()}, timeout=10).ok, name
    known = dev_cluster.environment["CLOUDX_URL"]
    headers = {"Authorization": f"Bearer {secrets['CLOUDX_TOKEN'].decode()}"}
    assert requests.get(f"{known}/api/tokens", headers=headers, timeout=10).ok


def test_no_file_of_the_repository_holds_a_secret(secrets):
    assert found_in(repository_files(), secrets) == []


def test_no_log_of_a_server_or_of_a_task_holds_a_secret(dev_cluster, secrets):
    dev_cluster.shell("cloudx scan 127.0.0.1 --tool nmap --ports 4646 --wait")
    assert found_in(logs(dev_cluster), secrets) == []


def test_the_terminal_shows_the_admin_token_that_it_prints_for_people_and_no_other_secret(dev_cluster, secrets):
    said = dev_cluster.said()
    assert said.count(secrets["CLOUDX_TOKEN"].decode()) == 1
    others = {name: value for name, value in secrets.items() if name != "CLOUDX_TOKEN"}
    assert found_in(iter([("the terminal", said.encode())]), others) == []


def test_nomad_shows_no_secret_in_a_job_or_an_allocation(dev_cluster, secrets):
    assert found_in(job_documents(dev_cluster), secrets) == []


def test_no_page_of_the_api_nomad_consul_or_fabio_shows_a_secret(dev_cluster, secrets):
    assert "/api/config" in FABIO_PAGES, "it shows Fabio's settings to anybody"
    assert found_in(pages(dev_cluster), secrets) == []


def test_no_process_of_a_task_has_a_secret_in_its_environment(secrets):
    searched = {re.findall(rb"NOMAD_TASK_NAME=(\w+)", content)[0] for _, content in task_environments()}
    assert searched == {b"backend", b"node", b"scan", b"fabio"}
    assert found_in(task_environments(), secrets) == []


def test_of_the_servers_only_vault_in_dev_mode_and_its_plugin_have_one_in_their_environment_its_root_token(secrets):
    allowed = {f"VAULT_TOKEN in the environment of {name}" for name in ("vault", "postgresql-database-plugin")}
    assert set(found_in(server_environments(), secrets)) <= allowed


def test_no_command_line_on_the_machine_shows_a_secret(secrets):
    assert found_in(command_lines(), secrets) == []


def test_what_holds_secrets_is_closed_to_other_users(dev_cluster):
    folder = dev_cluster.folder
    assert folder.stat().st_mode & 0o777 == 0o700
    for file in [folder / "env", folder / "nomad.json", folder / "consul.json", folder / "vault-first-words"]:
        assert file.stat().st_mode & 0o777 == 0o600, file


def test_with_docker_neither_the_image_nor_a_container_s_settings_or_logs_hold_a_secret(stopped_dev_cluster):
    cluster = stopped_dev_cluster
    if cluster.is_running():
        cluster.stop()
    cluster.start_by_make("DRIVER=docker")
    submit(cluster, ports="1-8000")
    until(lambda: len(our_containers(DevFolder(ROOT))) >= 4, 30)
    secrets = _every_kind(cluster)
    containers = our_containers(DevFolder(ROOT))
    assert found_in(((f"container {one}", docker("inspect", one).encode()) for one in containers), secrets) == []
    assert found_in(logs(cluster), secrets) == []
    assert found_in(((f"log of {one}", docker("logs", one).encode()) for one in containers), secrets) == []
    image = subprocess.run(["docker", "save", "cloudx:dev"], capture_output=True, check=True, timeout=120).stdout
    assert b"cloudx/cli/main.py" in image, "its layers can be read"
    assert found_in(iter([("the image", image)]), secrets) == []
    cluster.stop()

"""Without a token, or with another's, each server of the cluster refuses; no secret is where it can be read."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg2
import pytest
import requests

from cloudx.devcluster.layout import DevFolder
from cloudx.devcluster.leftovers import our_processes
from fixtures.servers.cluster_servers import ROOT

FOLDER = DevFolder(ROOT)
DATABASE = "127.0.0.1:54329/cloudx"


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "http://127.0.0.1:4646/v1/jobs"),
        ("GET", "http://127.0.0.1:4646/v1/nodes"),
        ("GET", "http://127.0.0.1:4646/v1/agent/self"),
        ("PUT", "http://127.0.0.1:4646/v1/system/gc"),
        ("DELETE", "http://127.0.0.1:4646/v1/job/backend"),
        ("GET", "http://127.0.0.1:8500/v1/kv/x"),
        ("GET", "http://127.0.0.1:8500/v1/agent/self"),
        ("GET", "http://127.0.0.1:8500/v1/acl/tokens"),
        ("PUT", "http://127.0.0.1:8500/v1/agent/service/register"),
        ("GET", "http://127.0.0.1:8200/v1/secret/data/cloudx/api"),
        ("GET", "http://127.0.0.1:8200/v1/database/creds/backend"),
        ("GET", "http://127.0.0.1:8200/v1/sys/mounts"),
        ("POST", "http://127.0.0.1:9999/api/nodes/register"),
        ("POST", "http://127.0.0.1:9999/api/nodes/heartbeat"),
        ("GET", "http://127.0.0.1:9999/api/nodes"),
        ("POST", "http://127.0.0.1:9999/api/scans"),
    ],
)
@pytest.mark.parametrize("token", [None, "00000000-1111-2222-3333-444444444444"])
def test_nothing_is_told_or_done_without_a_known_token(dev_cluster, method, url, token):
    names = ("X-Nomad-Token", "X-Consul-Token", "X-Vault-Token")
    headers = dict.fromkeys(names, token) | {"Authorization": f"Bearer {token}"} if token else {}
    body = {"Name": "x"} if "8500" in url else {}
    answer = requests.request(
        method, url, headers=headers, json=body if method in ("PUT", "POST") else None, timeout=10
    )
    assert answer.status_code in (401, 403), f"{answer.status_code} {answer.text[:300]}"


def test_consuls_lists_are_empty_for_a_stranger(dev_cluster):
    for path in ("catalog/nodes", "health/service/cloudx-backend"):
        assert requests.get(f"http://127.0.0.1:8500/v1/{path}", timeout=10).json() == []
    assert requests.get("http://127.0.0.1:8500/v1/catalog/services", timeout=10).json() == {}


@pytest.mark.parametrize("user", ["postgres", "cloudx_owner", "cloudx_vault", "cloudx"])
def test_postgresql_refuses_without_a_password_and_with_a_wrong_one(dev_cluster, user):
    for login in (f"{user}@", f"{user}:wrong@"):
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(f"postgresql://{login}{DATABASE}", connect_timeout=5)


def secrets_of(dev_cluster) -> dict[str, str]:
    """Every real value that must not be seen."""
    known = dev_cluster.environment
    found = {name: known[name] for name in ("CLOUDX_TOKEN", "NOMAD_TOKEN", "CONSUL_HTTP_TOKEN", "VAULT_TOKEN")}
    found["postgres"] = (FOLDER.path / "postgres-password").read_text()
    found["nomad in consul"] = json.loads((FOLDER.path / "nomad.json").read_text())["consul"]["token"]
    for file in FOLDER.nomad.glob("alloc/*/*/secrets/*"):
        if file.is_file() and file.stat().st_size:
            found[f"{file.parts[-3]}/{file.name}"] = file.read_text().strip()
    return found


def test_no_secret_is_in_jobs_logs_job_definitions_or_environments(dev_cluster):
    secrets = secrets_of(dev_cluster)
    assert any(name.endswith("/database_url") for name in secrets), sorted(secrets)
    seen = {f"job {job['ID']}": json.dumps(dev_cluster.nomad(f"job/{job['ID']}")) for job in dev_cluster.nomad("jobs")}
    assert len(seen) >= 3
    for folder, pattern in ((ROOT / "jobs", "*"), (FOLDER.logs, "*"), (FOLDER.nomad, "alloc/*/alloc/logs/*")):
        seen |= {str(file): file.read_text(errors="replace") for file in folder.glob(pattern) if file.is_file()}
    for process in our_processes(FOLDER):
        environment = _environment(process.pid)
        if process.name().startswith(("vault", "postgresql-data")):
            continue  # Vault itself and its plugin: what makes the token knows it
        seen[f"environment of {process.pid} {process.name()}"] = environment.decode(errors="replace")
    found = [f"{name} in {where}" for where, text in seen.items() for name, value in secrets.items() if value in text]
    assert not found, "\n".join(found)


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""

"""docker-compose.yml says what docs/image.md promises. Needs nothing but the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudx.config import load_settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


def services() -> dict[str, Any]:
    """The services, with every variable's default in its place."""
    filled = _VARIABLE.sub(lambda found: found["rest"] if found["kind"] == "-" else "/somewhere", TEXT)
    parsed: dict[str, dict[str, Any]] = yaml.safe_load(filled)
    return parsed["services"]


def test_the_api_has_no_capability_and_the_worker_net_raw_alone() -> None:
    api, worker = services()["api"], services()["worker"]
    assert (api["cap_drop"], api.get("cap_add")) == (["ALL"], None)
    assert (worker["cap_drop"], worker["cap_add"]) == (["ALL"], ["NET_RAW"])


def test_our_containers_are_read_only_and_cannot_gain_privileges() -> None:
    for name in ("migrate", "api", "worker"):
        service = services()[name]
        assert service["read_only"] is True
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_worker_scans_from_the_network_of_the_host() -> None:
    assert services()["worker"]["network_mode"] == "host"


def test_every_port_is_published_on_loopback_unless_somebody_says_otherwise() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_password_or_token_is_in_it_and_none_has_a_default() -> None:
    for service in services().values():
        for name, value in service["environment"].items():
            secret = re.search("PASS|TOKEN|SECRET", name)
            assert not secret or value.startswith("/run/secrets/"), f"{name}={value}"
    for found in _VARIABLE.finditer(TEXT):
        assert found["kind"] is not None, f"{found[0]} has neither a default nor a remedy"
        if re.search("PASS|TOKEN|SECRET", found["name"]):
            assert found["kind"] == "?"


def test_every_secret_that_a_service_reads_is_given_to_it_as_a_file() -> None:
    for service in services().values():
        read = {Path(str(value)).name for value in service["environment"].values() if "/run/secrets/" in str(value)}
        assert read == set(service["secrets"])
    declared = set(yaml.safe_load(TEXT)["secrets"])
    assert declared == {secret for service in services().values() for secret in service["secrets"]}


@pytest.mark.parametrize(("name", "login"), [("migrate", "migrate"), ("api", "api"), ("worker", "scan")])
def test_the_settings_it_gives_are_settings_that_exist_with_a_login_for_each(name: str, login: str) -> None:
    settings = load_settings(services()[name]["environment"])
    assert settings.sqlalchemy_url.startswith(f"postgresql+psycopg2://cloudx_{login}@")


def test_the_superusers_password_is_in_the_databases_container_alone() -> None:
    having = [name for name, service in services().items() if "postgres_password" in service["secrets"]]
    assert having == ["postgres"]


def test_each_service_says_how_docker_knows_its_health() -> None:
    assert "pg_isready" in services()["postgres"]["healthcheck"]["test"][1]
    assert services()["worker"]["healthcheck"] == services()["migrate"]["healthcheck"] == {"disable": True}
    assert "healthcheck" not in services()["api"]  # the image's own


def test_compose_itself_takes_it_and_asks_for_the_secrets_with_the_remedy() -> None:
    command = compose_command()
    if command is None:
        pytest.skip("no docker compose here; the tests above read the file without it")
    environment = {name: value for name, value in os.environ.items() if name != "SECRETS_DIR"}
    taken = subprocess.run([*command, "config", "-q"], cwd=ROOT, env=environment | {"SECRETS_DIR": "/somewhere"})
    assert taken.returncode == 0
    refused = subprocess.run([*command, "config", "-q"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "make the secrets first" in refused.stderr


def compose_command() -> list[str] | None:
    """`docker compose`, where this machine has the plugin."""
    if shutil.which("docker") is None:
        return None
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True)
    return ["docker", "compose"] if asked.returncode == 0 else None

"""The servers' command lines: built here, run by children.py."""

from __future__ import annotations

import json
import os
from pathlib import Path

from cloudx.private_files import write_private

from .layout import HOST, POSTGRES_PORT, VAULT_PORT, DevFolder
from .secrets import DevSecrets

CONSUL_NODE = "dev"  # consul/dev.hcl names it
# PostgreSQL refuses to run as root; the capability lets it reach its data in a checkout that is closed to others.
_AS_POSTGRES = [
    "setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups",
    "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--",
]  # fmt: skip


def consul_command(programs: dict[str, Path], folder: DevFolder, secrets: DevSecrets, durable: bool) -> list[str]:
    """Consul with access control: in dev mode, or as a server that keeps this run's state on disk."""
    tokens = {"initial_management": secrets.consul, "agent": secrets.consul}
    private = _private_config(folder, "consul.json", {"acl": {"tokens": tokens}})
    shared = folder.checkout / "consul/dev.hcl"
    mode = ["-server", "-bootstrap-expect=1", "-ui", f"-data-dir={folder.consul}"] if durable else ["-dev"]
    return [str(programs["consul"]), "agent", *mode, f"-config-file={shared}", f"-config-file={private}"]


def vault_command(programs: dict[str, Path], folder: DevFolder) -> list[str]:
    """Vault in dev mode; the environment holds its root token, so that no list of processes shows it."""
    return [
        str(programs["vault"]), "server", "-dev", "-dev-no-store-token", f"-dev-listen-address={HOST}:{VAULT_PORT}",
        f"-dev-plugin-dir={folder.plugins}", "-log-level=warn",
    ]  # fmt: skip


def nomad_command(programs: dict[str, Path], folder: DevFolder, secrets: DevSecrets) -> list[str]:
    """Nomad in dev mode, server and client, with workload identities for Consul and Vault."""
    own: dict[str, object] = {
        "data_dir": str(folder.nomad),
        "client": {"alloc_mounts_dir": str(folder.nomad / "mounts")},
        "consul": {"token": secrets.nomad_in_consul},
        "vault": {"address": f"http://{HOST}:{VAULT_PORT}"},
    }
    private = _private_config(folder, "nomad.json", own)
    shared = folder.checkout / "nomad/dev.hcl"
    return [
        str(programs["nomad"]), "agent", "-dev", "-dev-vault", f"-config={shared}", f"-config={private}",
    ]  # fmt: skip


def initdb_command(binaries: Path, folder: DevFolder, password_file: Path) -> list[str]:
    """Make PostgreSQL's data folder, with a password for every login."""
    return [
        *as_postgres(), str(binaries / "initdb"), "-D", str(folder.postgres), "-U", "postgres", "-E", "UTF8",
        "--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={password_file}",
    ]  # fmt: skip


def postgres_command(binaries: Path, folder: DevFolder) -> list[str]:
    """PostgreSQL, over TCP alone."""
    return [
        *as_postgres(), str(binaries / "postgres"), "-D", str(folder.postgres), "-p", str(POSTGRES_PORT),
        "-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories=", "-c", "max_connections=200",
    ]  # fmt: skip


def as_postgres() -> list[str]:
    """The prefix that leaves root; empty if we are not root."""
    return _AS_POSTGRES if os.geteuid() == 0 else []


def _private_config(folder: DevFolder, name: str, content: dict[str, object]) -> Path:
    file = folder.path / name
    write_private(file, json.dumps(content))
    return file

"""The servers of the dev cluster, started in the order in which they need each other, and set up."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloudx.cluster.admit import AdmitMachine, MachineKind, MachineTokens
from cloudx.cluster.bootstrap import cluster_identities
from cloudx.cluster.identities import ClusterPlan, SetUpIdentities
from cloudx.cluster.identity_ports import DatabaseAdmin
from cloudx.config import load_settings
from cloudx.domain.errors import ClusterUnavailable

from .children import Children
from .layout import CONSUL_PORT, DATABASE, HOST, NOMAD_PORT, POSTGRES_PORT, VAULT_PORT, DevFolder
from .leftovers import MARK
from .programs import PLUGIN, find_servers
from .secrets import DATABASE_ADDRESS, DevSecrets
from .servers import (
    CONSUL_NODE,
    as_postgres,
    consul_command,
    initdb_command,
    nomad_command,
    postgres_command,
    vault_command,
)
from .waiting import answers, wait_until

CONSUL_URL, NOMAD_URL, VAULT_URL = (f"http://{HOST}:{port}" for port in (CONSUL_PORT, NOMAD_PORT, VAULT_PORT))
START_SECONDS = 60.0
STOP_SECONDS = {"nomad": 45.0, "vault": 10.0, "consul": 10.0, "postgres": 15.0}  # Nomad waits for the tasks to leave


@dataclass(frozen=True)
class Stack:
    """The servers of a run, with everything that the steps of its start share."""

    folder: DevFolder
    secrets: DevSecrets
    programs: dict[str, Path]
    postgres_binaries: Path
    children: Children
    stopping: threading.Event
    driver: str = "raw_exec"
    durable: bool = False
    login_ttl: str | None = None
    login_max_ttl: str | None = None

    def start(self) -> SetUpIdentities:
        """Start the four servers and set up every identity."""
        environment = _server_environment(self.folder)
        if self.driver == "docker":
            self._start_docker(environment)
        self._init_postgres()
        self.children.start("postgres", postgres_command(self.postgres_binaries, self.folder), environment)
        self.children.start(
            "consul", consul_command(self.programs, self.folder, self.secrets, self.durable), environment
        )
        # The root token is for Vault alone: tasks inherit Nomad's environment. Vault prints it: not to the log.
        for_vault = environment | {"VAULT_DEV_ROOT_TOKEN_ID": self.secrets.vault}
        self.children.start("vault", vault_command(self.programs, self.folder), for_vault, "vault-first-words")
        self._wait("Consul", lambda: answers(f"{CONSUL_URL}/v1/status/leader"))
        identities = self._identities()
        self._admit_nomad(identities)
        self._wait("Vault", lambda: answers(f"{VAULT_URL}/v1/sys/health"))  # Nomad's client looks for it at its start
        self.children.start("nomad", nomad_command(self.programs, self.folder, self.secrets), environment)
        self._wait("PostgreSQL", lambda: _listens(POSTGRES_PORT))
        self._wait("Nomad", lambda: answers(f"{NOMAD_URL}/v1/status/leader"))
        self._set_up(identities)
        return identities

    def stop(self) -> None:
        """Stop Nomad first: its tasks need the others to leave well."""
        for name, seconds in STOP_SECONDS.items():
            self.children.stop(name, seconds)

    @property
    def keeps_state(self) -> tuple[str, ...]:
        """Servers that may be started again if they die; the others would come back empty."""
        return ("postgres", "consul") if self.durable else ("postgres",)

    def why_stop(self) -> str | bool:
        """True if this run was told to stop, the name of a server that died, else False."""
        return self.stopping.is_set() or next(iter(self.children.dead()), False)

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        wait_until(ready, what, START_SECONDS, self.why_stop)

    def _identities(self) -> SetUpIdentities:
        settings = load_settings(client_environment(self.secrets))
        return cluster_identities(
            settings, self.folder.checkout, DatabaseAdmin(self.secrets.database_admin_url, DATABASE)
        )

    def _admit_nomad(self, identities: SetUpIdentities) -> None:
        wait_for_acl = f"{CONSUL_URL}/v1/acl/token/self"
        self._wait("Consul's access control", lambda: answers(wait_for_acl, {"X-Consul-Token": self.secrets.consul}))
        # The one machine is a VPS and a control node. Its Consul agent is the server, with the administrator's token.
        tokens = MachineTokens(nomad_agent=self.secrets.nomad_in_consul)
        AdmitMachine(identities.files, identities.consul).run(CONSUL_NODE, *MachineKind, tokens=tokens)

    def _set_up(self, identities: SetUpIdentities) -> None:
        identities.nomad.bootstrap(self.secrets.nomad)
        keys = f"{NOMAD_URL}/.well-known/jwks.json"
        self._wait("Nomad's keys", lambda: answers(keys))
        identities.run(
            ClusterPlan(
                jwks_url=keys,
                database_address=DATABASE_ADDRESS,
                vault_plugin=str(self._vault_plugin()),
                login_ttl=self.login_ttl,
                login_max_ttl=self.login_max_ttl,
            )
        )
        token = {"X-Nomad-Token": self.secrets.nomad}
        self._wait("Nomad's client", lambda: answers(f"{NOMAD_URL}/v1/nodes", token, containing=b'"Status":"ready"'))

    def _vault_plugin(self) -> Path:
        """Copy the plugin into Vault's plugin folder: Vault follows no link out of it."""
        found = find_servers(self.folder.checkout, PLUGIN, stopping=self.stopping)[PLUGIN]
        copy = self.folder.plugins / PLUGIN
        if not copy.exists() or copy.stat().st_mtime < found.stat().st_mtime:
            shutil.copy2(found, copy)
        return copy

    def _start_docker(self, environment: dict[str, str]) -> None:
        """Start a Docker daemon if none answers; leftovers.py ends it."""
        script = self.folder.checkout / "scripts/start-dockerd"
        command = [str(script), str(self.folder.docker / "dockerd.pid")]
        if subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False).returncode != 0:
            raise ClusterUnavailable("No Docker daemon answers, and none could be started; the reason is above.")

    def _init_postgres(self) -> None:
        if (self.folder.postgres / "PG_VERSION").exists():
            return
        shutil.rmtree(self.folder.postgres, ignore_errors=True)
        self.folder.postgres.mkdir(mode=0o700)
        if as_postgres():
            shutil.chown(self.folder.postgres, "postgres", "postgres")
        password_file, log_file = self.folder.path / "postgres-password", self.folder.logs / "initdb.txt"
        with open(log_file, "wb") as log:
            command = initdb_command(self.postgres_binaries, self.folder, password_file)
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", check=False)
        if done.returncode != 0:
            raise ClusterUnavailable("PostgreSQL's data folder cannot be made; .dev/logs/initdb.txt says why.")


def client_environment(secrets: DevSecrets) -> dict[str, str]:
    """The addresses and tokens that the servers' command lines, and ours, read."""
    return {
        "NOMAD_ADDR": NOMAD_URL,
        "NOMAD_TOKEN": secrets.nomad,
        "CONSUL_HTTP_ADDR": CONSUL_URL,
        "CONSUL_HTTP_TOKEN": secrets.consul,
        "VAULT_ADDR": VAULT_URL,
        "VAULT_TOKEN": secrets.vault,
    }


def _server_environment(folder: DevFolder) -> dict[str, str]:
    """This process's environment, marked as ours, minus every name that would point servers or tasks elsewhere."""
    prefixes = ("NOMAD_", "CONSUL_", "VAULT_", "CLOUDX_", "PG")
    dropped = ("AWS_CA_BUNDLE", "DATABASE_URL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes) and name not in dropped}
    return kept | {MARK: str(folder.path)}


def _listens(port: int) -> bool:
    with socket.socket() as trial:
        trial.settimeout(1)
        return trial.connect_ex((HOST, port)) == 0

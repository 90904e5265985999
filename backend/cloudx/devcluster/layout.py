"""Where the dev cluster keeps things and where its servers listen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
DATABASE = "cloudx"
# The makers' default ports; PostgreSQL gets another, since the machine may run a PostgreSQL already.
CONSUL_PORT, NOMAD_PORT, VAULT_PORT, FABIO_PORT, FABIO_PAGE_PORT, POSTGRES_PORT = 8500, 4646, 8200, 9999, 9998, 54329
PORTS = {
    CONSUL_PORT: "Consul",
    8300: "Consul's servers",
    8301: "Consul's gossip",
    8502: "Consul's gRPC",
    8503: "Consul's gRPC over TLS",
    NOMAD_PORT: "Nomad",
    4647: "Nomad's servers",
    4648: "Nomad's gossip",
    VAULT_PORT: "Vault",
    POSTGRES_PORT: "PostgreSQL",
    FABIO_PORT: "Fabio",
    FABIO_PAGE_PORT: "Fabio's page",
}


@dataclass(frozen=True)
class DevFolder:
    """The folder .dev/ of a checkout and what is in it, mode 0700."""

    checkout: Path

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.checkout / ".dev"

    @property
    def env(self) -> Path:
        """The file that a shell sources."""
        return self.path / "env"

    @property
    def logs(self) -> Path:
        """A log file for each server."""
        return self.path / "logs"

    @property
    def nomad(self) -> Path:
        """Nomad's data: allocations and their mounts."""
        return self.path / "nomad"

    @property
    def consul(self) -> Path:
        """Consul's data, if it is durable."""
        return self.path / "consul"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data, which outlives a run."""
        return self.path / "postgres"

    @property
    def plugins(self) -> Path:
        """Vault's plugin folder."""
        return self.path / "vault-plugins"

    @property
    def docker(self) -> Path:
        """The process id and log of the Docker daemon, if this run started it."""
        return self.path / "docker"

    @property
    def children(self) -> Path:
        """The process ids of this run's servers."""
        return self.path / "children.json"

    @property
    def binaries(self) -> Path:
        """Links to the servers' programs, for PATH."""
        return self.path / "bin"

    def make(self) -> None:
        """Make the folders, closed to other users."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        self.path.chmod(0o700)
        for folder in (self.logs, self.nomad, self.consul, self.plugins, self.docker, self.binaries):
            folder.mkdir(mode=0o700, exist_ok=True)

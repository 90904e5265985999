"""One run of the dev cluster, from the first check to the last process gone."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import typer

from .children import Children
from .env_file import link_programs, shell_variables, write_env_file
from .layout import DevFolder
from .programs import SERVERS, find_postgres, find_servers
from .secrets import fresh_secrets
from .stack import CONSUL_URL, NOMAD_URL, VAULT_URL, Stack

LOOK_SECONDS = 0.5


class DevRun:
    """Starts, waits, and takes all of it down whatever happened."""

    def __init__(
        self, checkout: Path, driver: str, stopping: threading.Event, login_ttl: str | None, login_max_ttl: str | None
    ) -> None:
        self._folder = DevFolder(checkout.absolute())
        self._driver = driver
        self._stopping = stopping
        self._folder.make()
        self._programs = find_servers(checkout, *SERVERS)
        self._secrets = fresh_secrets(self._folder)
        self._stack = Stack(
            self._folder, self._secrets, self._programs, find_postgres(), Children(self._folder), stopping,
            login_ttl, login_max_ttl,
        )  # fmt: skip

    def until_told_to_stop(self, with_jobs: bool) -> None:
        """Raises CloudxError when it cannot start, or when a server dies."""
        started = time.monotonic()
        try:
            identities = self._stack.start()
            link_programs(self._folder, self._programs)
            variables = shell_variables(self._secrets, identities.admin_token(), self._driver, self._programs["fabio"])
            write_env_file(self._folder, variables)
            typer.echo(f"Consul {CONSUL_URL}, Nomad {NOMAD_URL}, Vault {VAULT_URL}: {time.monotonic() - started:.1f} s")
            while not self._stopping.wait(LOOK_SECONDS):
                pass
        finally:
            self._stack.stop()
            self._folder.env.unlink(missing_ok=True)

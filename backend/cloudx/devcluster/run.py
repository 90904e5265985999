"""A run of the dev cluster, from the first check to the end of its last process."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import typer

from cloudx.domain.errors import ClusterUnavailable

from .children import Children
from .env_file import URL, link_programs, shell_variables, write_env_file
from .jobs import JOBS, DevJobs, not_healthy_yet
from .layout import FABIO_PAGE_PORT, HOST, DevFolder
from .leftovers import clear_leftovers
from .lock import claim, say_leaving
from .ports import require_free_ports
from .programs import SERVERS, find_postgres, find_servers, require_checkout_and_root
from .secrets import fresh_secrets
from .stack import CONSUL_URL, NOMAD_URL, VAULT_URL, Stack
from .tail import LogTail
from .waiting import answers, wait_until

LOOK_SECONDS = 0.5
HEALTHY_SECONDS = 180.0
FABIO_ROUTES = f"http://{HOST}:{FABIO_PAGE_PORT}/api/routes"


@dataclass(frozen=True)
class DevOptions:
    """The options of `cloudx dev`."""

    checkout: Path
    driver: str = "raw_exec"
    with_jobs: bool = True
    durable: bool = False
    login_ttl: str | None = None
    login_max_ttl: str | None = None


def run_dev(options: DevOptions, stopping: threading.Event) -> None:
    """Run until told to stop, then take everything down. Raises CloudxError if it cannot start or a server dies."""
    folder = DevFolder(options.checkout.absolute())
    require_checkout_and_root(folder.checkout)
    folder.make()
    with claim(folder) as lock:
        clear_leftovers(folder)
        require_free_ports()
        programs = find_servers(folder.checkout, *SERVERS, stopping=stopping)
        run = _Run(options, folder, programs, stopping)
        try:
            run.start()
            run.stay()
        finally:
            say_leaving(lock)
            run.take_down()


class _Run:
    def __init__(
        self, options: DevOptions, folder: DevFolder, programs: dict[str, Path], stopping: threading.Event
    ) -> None:
        self._options, self._folder, self._programs, self._stopping = options, folder, programs, stopping
        self._secrets = fresh_secrets(folder)
        self._children = Children(folder)
        self._stack = Stack(
            folder, self._secrets, programs, find_postgres(), self._children, stopping,
            options.driver, options.durable, options.login_ttl, options.login_max_ttl,
        )  # fmt: skip
        self._tail = LogTail(folder)

    def start(self) -> None:
        started = time.monotonic()
        self._tail.start()
        identities = self._stack.start()
        self._say(f"The servers run, their identities are set up ({time.monotonic() - started:.1f} s).")
        link_programs(self._folder, self._programs)
        token = identities.admin_token()
        variables = shell_variables(self._secrets, token, self._options.driver, self._programs["fabio"])
        write_env_file(self._folder, variables)
        if self._options.with_jobs:
            jobs = DevJobs(self._folder, self._programs["nomad"], variables, self._stopping)
            jobs.run_all()
            self._wait_healthy(jobs, token)
        self._announce(token, time.monotonic() - started)

    def stay(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            for name in self._children.dead():
                if not self._children.restart(name, self._stack.keeps_state):
                    raise ClusterUnavailable(f"{name} ended; its log is .dev/logs/{name}.log.")
                self._say(f"{name} ended and was started again.")

    def take_down(self) -> None:
        self._say("Taking everything down …")
        self._folder.env.unlink(missing_ok=True)
        self._stack.stop()
        self._tail.stop()
        clear_leftovers(self._folder)
        self._say("Nothing of it is left.")

    def _wait_healthy(self, jobs: DevJobs, token: str) -> None:
        missing: list[str] = []

        def healthy() -> bool:
            nonlocal missing
            before, missing = missing, not_healthy_yet(jobs, {
                # Its page first: each request that finds no route is a line in its log.
                "Fabio's route": lambda: answers(FABIO_ROUTES, containing=b"cloudx-backend"),
                "the API through Fabio": lambda: answers(f"{URL}/api/ready"),
                "a healthy node": lambda: _has_healthy_node(token),
            })  # fmt: skip
            if missing and missing != before:
                self._say(f"Waiting for {', '.join(missing)} …")
            return not missing

        try:
            wait_until(healthy, "the backend", HEALTHY_SECONDS, self._stack.why_stop)
        except ClusterUnavailable as error:
            reasons = [f"{name}: {jobs.explain(name)}" for name in missing if name in JOBS]
            still = "\n".join([f" Still missing: {', '.join(missing)}.", *reasons]) if missing else ""
            raise ClusterUnavailable(f"{error.message}{still}") from error

    def _announce(self, token: str, seconds: float) -> None:
        self._say(f"Healthy after {seconds:.1f} s.")
        for name, where in (
            ("API", f"{URL}/"),
            ("Fabio's routes", f"http://{HOST}:{FABIO_PAGE_PORT}/"),
            ("Consul", f"{CONSUL_URL}/ui/"),
            ("Nomad", f"{NOMAD_URL}/ui/"),
            ("Vault", VAULT_URL),
            ("admin token", token),
        ):
            self._say(f"  {name:15}{where}")
        self._say("In another shell: source .dev/env && cloudx nodes      Ctrl-C here takes all of it down.")

    def _say(self, message: str) -> None:
        typer.echo(message, err=True)


def _has_healthy_node(token: str) -> bool:
    request = urllib.request.Request(f"{URL}/api/nodes", headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310 - our own loopback URL
            return any(node["status"] == "healthy" for node in json.load(answer))
    except OSError:
        return False

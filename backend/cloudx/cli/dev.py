"""`cloudx dev`: Consul, Vault, Nomad, PostgreSQL and Fabio around the backend, from the files that operators use."""

from __future__ import annotations

import contextlib
import signal
import threading
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .session import ending_in_words


class Driver(StrEnum):
    """How Nomad runs the jobs."""

    RAW_EXEC = "raw_exec"
    DOCKER = "docker"


def dev(
    driver: Annotated[
        Driver, typer.Option(help="The checkout's code (raw_exec) or the image (docker).")
    ] = Driver.RAW_EXEC,
    servers_only: Annotated[bool, typer.Option("--servers-only", help="Start the servers, run no job.")] = False,
    durable: Annotated[
        bool, typer.Option("--durable", help="Consul keeps its state on disk: it may be restarted.")
    ] = False,
    login_ttl: Annotated[str | None, typer.Option(help="Lifetime of database logins, as 60s.")] = None,
    login_max_ttl: Annotated[str | None, typer.Option(help="How long a login can be renewed.")] = None,
) -> None:
    """Run the production shape on this machine until Ctrl-C: needs a checkout and root.

    Example: sudo cloudx dev --driver docker
    """
    from cloudx.devcluster.run import DevOptions, run_dev
    from cloudx.devcluster.waiting import Interrupted

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    with ending_in_words(), contextlib.suppress(Interrupted):
        options = DevOptions(Path.cwd(), driver.value, not servers_only, durable, login_ttl, login_max_ttl)
        run_dev(options, stopping)

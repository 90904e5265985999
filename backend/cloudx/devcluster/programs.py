"""Find the servers' programs: by scripts/find-servers, and PostgreSQL in the system's package."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from cloudx.domain.errors import BadConfiguration

from .waiting import Interrupted

SERVERS = ("consul", "vault", "nomad", "fabio")
PLUGIN = "postgresql-database-plugin"
OLDEST_POSTGRES = 15
LOOK_SECONDS = 0.05
FIND_SERVERS = "scripts/find-servers"


def require_checkout_and_root(checkout: Path) -> None:
    """Raises BadConfiguration with the remedy."""
    if not (checkout / FIND_SERVERS).exists():
        raise BadConfiguration(f"{checkout} is no checkout of Cloud-X. Run this in one: it runs the files of jobs/.")
    if os.geteuid() != 0:
        raise BadConfiguration("Nomad's client mounts and isolates, which needs root. Run it with sudo.")


def find_servers(checkout: Path, *names: str, stopping: threading.Event) -> dict[str, Path]:
    """The path of each program, downloaded or built if missing (progress goes to standard error).

    Raises BadConfiguration, or Interrupted once `stopping` is set.
    """
    with subprocess.Popen(
        [str(checkout / FIND_SERVERS), *names], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        while child.poll() is None:
            if stopping.wait(LOOK_SECONDS):  # a build takes minutes
                os.killpg(child.pid, signal.SIGTERM)
                raise Interrupted
        found = child.stdout.read() if child.stdout else ""
    if child.returncode != 0:
        raise BadConfiguration(f"{', '.join(names)}: not all could be found; the reason is above.")
    return {name: Path(path) for name, path in (line.split(" ", 1) for line in found.splitlines())}


def find_postgres() -> Path:
    """The folder of the newest PostgreSQL's programs. Raises BadConfiguration."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    if debian and int(debian[-1].parts[-3]) >= OLDEST_POSTGRES:
        return debian[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    raise BadConfiguration("PostgreSQL 15 or later is not installed. Install it with: apt-get install postgresql")

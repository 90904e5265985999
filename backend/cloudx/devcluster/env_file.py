"""`.dev/env`, to be sourced: with it `nomad job run jobs/backend.nomad.hcl` changes nothing that runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from cloudx import __version__
from cloudx.private_files import write_private

from .layout import FABIO_PORT, HOST, DevFolder
from .secrets import DATABASE_ADDRESS, DevSecrets
from .stack import client_environment

URL = f"http://{HOST}:{FABIO_PORT}"


def write_env_file(folder: DevFolder, variables: dict[str, str]) -> None:
    """Write the file with mode 0600; the programs' links come first on PATH."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    path = f"{folder.binaries}:{Path(sys.executable).parent}"
    lines.append(f'export PATH={shlex.quote(path)}:"$PATH"')
    write_private(folder.env, "# The dev cluster, while it runs: source this.\n" + "\n".join(lines) + "\n")


def shell_variables(secrets: DevSecrets, admin_token: str, driver: str, fabio: Path) -> dict[str, str]:
    """Addresses, tokens and the jobs' variables."""
    own = {"CLOUDX_URL": URL, "CLOUDX_TOKEN": admin_token}
    return own | client_environment(secrets) | job_variables(driver, fabio)


def job_variables(driver: str, fabio: Path) -> dict[str, str]:
    """The jobs' variables, as NOMAD_VAR_…"""
    variables = {"driver": driver, "version": __version__, "database": DATABASE_ADDRESS, "fabio_command": str(fabio)}
    variables["node_pool"] = "all"  # the one machine is a control node and a VPS
    if driver == "raw_exec":
        variables["command"] = str(Path(sys.executable).parent / "cloudx")
    return {f"NOMAD_VAR_{name}": value for name, value in variables.items()}


def link_programs(folder: DevFolder, programs: dict[str, Path]) -> None:
    """Link the servers' programs into a folder that holds nothing else."""
    for name, program in programs.items():
        link = folder.binaries / name
        link.unlink(missing_ok=True)
        link.symlink_to(program)

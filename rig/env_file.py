"""`.rig/env`, to be sourced."""

from __future__ import annotations

import shlex

from cloudx.private_files import write_private

from .environment import BIN
from .layout import RigFolder


def write_env_file(folder: RigFolder, variables: dict[str, str], programs: str = "") -> None:
    """Write the file with mode 0600; the programs come first on PATH."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    path = ":".join(part for part in (programs, str(BIN)) if part)
    lines.append(f'export PATH={shlex.quote(path)}:"$PATH"')
    write_private(folder.env, "# The rig, while it runs: source this.\n" + "\n".join(lines) + "\n")

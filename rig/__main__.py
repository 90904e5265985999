"""The module that `scripts/rig` and `make rig` run."""

from __future__ import annotations

import sys

from . import fault_commands  # noqa: F401 - adds its commands
from .commands import app, say
from .layout import RigFolder


def main() -> None:
    """Run a command; all but `up` need a rig that runs."""
    if len(sys.argv) > 1 and sys.argv[1] not in ("up", "--help") and not RigFolder().env.exists():
        say("error: no rig runs on this machine. Start one with `make rig N=4` in another terminal.")
        sys.exit(2)
    app(prog_name="scripts/rig")


main()

"""The module that `scripts/rig` and `make rig` run."""

from .commands import run

run()

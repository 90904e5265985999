"""`python -P -m rig`: what `make rig` and `scripts/rig` start."""

from .commands import run

run()

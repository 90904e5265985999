"""The environment of the rig's processes."""

from __future__ import annotations

import sys
from pathlib import Path

from fixtures.service import clean_environment

BIN = Path(sys.executable).parent  # of the checkout's virtual environment
CLOUDX = str(BIN / "cloudx")


def plain_environment(**more: str) -> dict[str, str]:
    """This shell's, without what would point a server or a cloudx elsewhere."""
    dropped = ("AWS_CA_BUNDLE", "LD_PRELOAD", "PYTHONPATH")
    kept = {name: value for name, value in clean_environment().items() if name not in dropped}
    return {name: value for name, value in kept.items() if not name.startswith("PG")} | more

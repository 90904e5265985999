"""The environment of the rig's processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

BIN = Path(sys.executable).parent  # of the checkout's virtual environment
CLOUDX = str(BIN / "cloudx")


def clean_environment(**settings: str) -> dict[str, str]:
    """This process's environment without any setting of Cloud-X, plus the given settings."""
    ours = ("DATABASE_URL", "PORT", "NODE_ID", "PRIMARY_NODE_URL")
    prefixes = ("CLOUDX_", "CONSUL_", "NOMAD_", "VAULT_")  # a shell may have sourced .dev/env
    kept = {k: v for k, v in os.environ.items() if not k.startswith(prefixes) and k not in ours}
    return kept | settings


def plain_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would point a server or a `cloudx` elsewhere, plus `more`."""
    dropped = ("AWS_CA_BUNDLE", "LD_PRELOAD", "PYTHONPATH")
    kept = {name: value for name, value in clean_environment().items() if name not in dropped}
    return {name: value for name, value in kept.items() if not name.startswith("PG")} | more

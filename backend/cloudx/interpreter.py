"""How this backend starts Python programs of its own."""

from __future__ import annotations

import sys


def module_command(module: str, *arguments: str) -> list[str]:
    """The argv that runs a module of the backend; -P: else Python runs a json.py of the current folder, as root."""
    return [sys.executable, "-P", "-m", module, *arguments]

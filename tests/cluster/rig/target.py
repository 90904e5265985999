"""What is open in the target network, and the process that serves it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fixtures import listeners
from fixtures.network import LISTENERS

from .environment import plain_environment
from .layout import TARGET
from .processes import Launch

KEY = f"{TARGET}.listeners"


def listeners_launch() -> Launch:
    """Says `ready` once all of LISTENERS serve."""
    script = str(Path(listeners.__file__))
    return Launch(TARGET, "listeners", [sys.executable, script, json.dumps(LISTENERS)], plain_environment())

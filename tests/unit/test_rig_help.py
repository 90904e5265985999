"""The rig's command line calls itself what people type."""

from __future__ import annotations

import subprocess
from pathlib import Path


def test_the_rigs_help_names_the_script_that_people_type() -> None:
    script = Path(__file__).parents[2] / "scripts" / "rig"
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    assert "Usage: scripts/rig [OPTIONS] COMMAND" in done.stdout

"""The kernel's network tables as `ip -j` shows them (iproute2)."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

from cloudx.domain.errors import CloudxError

_SEARCHED = "/usr/sbin:/usr/bin:/sbin:/bin"


def ip_json(*arguments: str) -> list[dict[str, Any]]:
    """What `ip` answers to these arguments. Raises CloudxError with its words."""
    path = shutil.which("ip", path=_SEARCHED)
    if path is None:
        raise CloudxError("`ip` is not installed; install it with `apt-get install iproute2`.")
    done = subprocess.run([path, "-j", *arguments], capture_output=True, timeout=5, check=False)
    if done.returncode != 0:
        raise CloudxError(f"`ip {' '.join(arguments)}` failed: {done.stderr.decode(errors='replace').strip()[:200]}")
    answer: list[dict[str, Any]] = json.loads(done.stdout or b"[]")
    return answer

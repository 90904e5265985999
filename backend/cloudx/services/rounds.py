"""What is done again and again for the life of a process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cloudx.domain.errors import CloudxError

log = logging.getLogger(__name__)


@dataclass
class Rounds:
    """Does something at intervals, on a thread of its own, and outlives every error."""

    name: str
    do: Callable[[], object]
    pause_seconds: float
    _logged_reason: str = field(default="", init=False)

    def start(self) -> None:
        """Begin, after the fork."""
        threading.Thread(target=self._run, name=self.name, daemon=True).start()

    def _run(self) -> None:
        while True:
            self.once()
            time.sleep(self.pause_seconds)

    def once(self) -> None:
        """One round; a repeated reason is logged once."""
        reason = ""
        try:
            self.do()
        except CloudxError as error:
            reason = error.message
        except Exception:  # the thread has to outlive a defect
            log.exception("%s.failed", self.name)
        if reason and reason != self._logged_reason:
            log.warning("%s.waits: %s", self.name, reason)
        self._logged_reason = reason

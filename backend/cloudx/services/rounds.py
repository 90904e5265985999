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
    _ended: Callable[[str, bool], None] | None = field(default=None, init=False)

    def start(self, ended: Callable[[str, bool], None] | None = None) -> None:
        """Begin, after the fork; `ended` hears of each round, by its name, and whether it was well."""
        self._ended = ended
        threading.Thread(target=self._run, name=self.name, daemon=True).start()

    def _run(self) -> None:
        while True:
            self.once()
            time.sleep(self.pause_seconds)

    def once(self) -> None:
        """One round; a repeated reason is logged once."""
        reason, is_well = "", False
        try:
            self.do()
            is_well = True
        except CloudxError as error:
            reason = error.message
        except Exception:  # the thread has to outlive a defect
            log.exception("%s.failed", self.name)
        if self._ended is not None:
            self._ended(self.name, is_well)
        if reason and reason != self._logged_reason:
            log.warning("%s.waits: %s", self.name, reason)
        self._logged_reason = reason

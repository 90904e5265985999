"""The clock that reconciles scans in each process of the API, where the workers' login may not (docs/adr/0026)."""

from __future__ import annotations

import logging
import threading
import time

from cloudx.domain.errors import CloudxError
from cloudx.services.ledger.ledger import OpenLedger

from .reconcile import reconcile_scans

ROUND_SECONDS = 2.0

log = logging.getLogger(__name__)


class KeepReconciled:
    """Reconciles at intervals for the life of a process, and outlives every error."""

    def __init__(self, open_ledger: OpenLedger) -> None:
        self._open_ledger = open_ledger
        self._logged_reason = ""

    def start(self) -> None:
        """Begin, after the fork."""
        threading.Thread(target=self._run, name="reconcile", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(ROUND_SECONDS)
            self.once()

    def once(self) -> None:
        """One round; a repeated reason is logged once."""
        reason = ""
        try:
            reconcile_scans(self._open_ledger)
        except CloudxError as error:
            reason = error.message
        except Exception:  # the thread has to outlive a defect
            log.exception("reconcile.failed")
        if reason and reason != self._logged_reason:
            log.warning("reconcile.waits: %s", reason)
        self._logged_reason = reason

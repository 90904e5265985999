"""Submit the scans of schedules that are due: one scan for each tick, whatever dies and however many processes look."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cloudx.domain.access import Principal
from cloudx.domain.errors import CloudxError, Conflict, DependencyUnavailable
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.timing.schedules import Action, Decision, LastRun, Schedule
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.scans.submit import Occasion, SubmitScan

from .edit_schedules import ReadRequest, schedule_not_found

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks of a process
SUBMITTED = "submitted"
_SERVED = "Another process has served this tick."
_MAKER_GONE = "refused: the token of {} that it was made with is gone. Change the schedule to make it yours."


@dataclass(frozen=True)
class Tick(Occasion):
    """The tick that a scan is submitted for: it is over in the transaction that writes the scan."""

    schedule: Schedule
    decision: Decision

    def begin(self, ledger: Ledger) -> None:
        """Lock the schedule. Raises Conflict where its ticks are no longer what the decision was made by."""
        seen, now = self.schedule, ledger.schedules.lock(self.schedule.id)
        if now is None or (now.next_at, now.queued_at, now.enabled) != (seen.next_at, seen.queued_at, seen.enabled):
            raise Conflict(_SERVED)

    def end(self, ledger: Ledger, scan: Scan) -> None:
        """The tick is over."""
        self.close(ledger, SUBMITTED, scan.id)
        ledger.audit.record(self.schedule.principal, "schedule.run", self.schedule.id, scan_id=scan.id)

    def close(self, ledger: Ledger, outcome: str, scan_id: str | None = None) -> None:
        """Keep what became of the tick."""
        ledger.schedules.save(self.schedule.served(self.decision, ledger.now(), outcome, scan_id))


@dataclass(frozen=True)
class ByHand(Occasion):
    """A run that somebody asked for now, beside the ticks."""

    schedule: Schedule

    def begin(self, ledger: Ledger) -> None:
        """Lock the schedule. Raises Conflict where it is gone meanwhile."""
        if ledger.schedules.lock(self.schedule.id) is None:
            raise Conflict("The schedule was removed at this moment.")

    def end(self, ledger: Ledger, scan: Scan) -> None:
        """Remember it as the last run."""
        now = ledger.schedules.lock(self.schedule.id) or self.schedule
        last_run = LastRun(ledger.now(), SUBMITTED, scan.id)
        ledger.schedules.save(replace(now, last_scan_id=scan.id, last_run=last_run))


@dataclass(frozen=True)
class RunSchedules:
    """Looks for ticks that are due and serves them; any number of processes may, at any time."""

    open_ledger: OpenLedger
    submit_scan: SubmitScan
    read_request: ReadRequest

    def __call__(self) -> int:
        """Serve what is due now; returns how many scans were submitted. Raises DependencyUnavailable."""
        with self.open_ledger(read_only=True) as ledger:
            now = ledger.now()
            due = ledger.schedules.due(now)
            statuses = ledger.schedules.statuses(due)
        decided = ((one, one.decide(now, is_running=_is_running(one, statuses))) for one in due)
        return sum(self._serve(Tick(one, decision)) for one, decision in decided if decision is not None)

    def by_hand(self, schedule_id: str, principal: Principal) -> Scan:
        """Submit its scan now, as the one who asks. Raises NotFound, and all that a submit raises."""
        with self.open_ledger(read_only=True) as ledger:
            schedule = next((one for one in ledger.schedules.all() if one.id == schedule_id), None)
        if schedule is None:
            raise schedule_not_found(schedule_id)
        return self._submit(schedule, principal, ByHand(schedule))

    def _serve(self, tick: Tick) -> bool:
        if tick.decision.action is not Action.RUN:
            self._close(tick, tick.decision.words)
            return False
        if self._token_is_gone(tick.schedule):
            self._close(tick, _MAKER_GONE.format(tick.schedule.created_by))
            return False
        try:
            self._submit(tick.schedule, tick.schedule.principal, tick)
        except Conflict:
            return False  # served already
        except DependencyUnavailable as error:  # a name server, say: it is due until it is served, or missed
            log.warning("schedule.waits: %s: %s", tick.schedule.name, error.message)
            return False
        except CloudxError as error:
            self._close(tick, f"refused: {error.message}")
            return False
        except Exception:  # one schedule must not hold up the others
            log.exception("schedule.failed: %s", tick.schedule.name)
            self._close(tick, "refused: an internal error, which the API's log tells of")
            return False
        return True

    def _submit(self, schedule: Schedule, principal: Principal, occasion: Occasion) -> Scan:
        request = self.read_request(schedule.scan)
        return self.submit_scan(replace(request, name=request.name or schedule.name), principal, occasion=occasion)

    def _close(self, tick: Tick, outcome: str) -> None:
        try:
            with self.open_ledger() as ledger:
                tick.begin(ledger)
                tick.close(ledger, outcome)
                ledger.commit()
        except Conflict:
            return  # served already

    def _token_is_gone(self, schedule: Schedule) -> bool:
        """True when what its maker was let in by is removed, or has expired."""
        if schedule.token_id is None:
            return False
        with self.open_ledger(read_only=True) as ledger:
            now, tokens = ledger.now(), ledger.tokens.all()
        return not any(token.id == schedule.token_id and token.is_live(now) for token in tokens)


def _is_running(schedule: Schedule, statuses: Mapping[str, ScanStatus]) -> bool:
    status = statuses.get(schedule.last_scan_id or "")
    return status is not None and not status.is_final

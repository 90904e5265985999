"""The clock that looks excluded names up again, in each process of the API (docs/adr/0018)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

from cloudx.domain.addresses import AddressSet
from cloudx.domain.names import ExcludedName
from cloudx.services.ledger.ledger import Ledger, OpenLedger

from .policy import PolicyCache
from .ports import Resolver
from .resolve_names import Answers, resolve_names

CLOCK_SECONDS = 10.0  # between two look-ups of a name by the clock
ROUND_SECONDS = 60.0  # what one round of the clock waits for answers


@dataclass(frozen=True)
class RefreshExcludedNames:
    """Look up the excluded names that are due, and keep what changed."""

    open_ledger: OpenLedger
    resolver: Resolver
    policies: PolicyCache

    def __call__(self) -> int:
        """How many names changed; each change moves the policy's version, so that runs under way learn of it."""
        with self.open_ledger(read_only=True) as ledger:
            watched, known, now = self._watched(ledger), _by_name(ledger), ledger.now()
        since = now - timedelta(seconds=CLOCK_SECONDS)
        due = [name for name in watched if name not in known or known[name].resolved_at <= since]
        if not due and watched == known.keys():
            return 0
        answers = resolve_names(self.resolver, due, ROUND_SECONDS)
        with self.open_ledger() as ledger:
            changed = keep_answers(ledger, answers)
            ledger.policies.forget_names(_by_name(ledger).keys() - self._watched(ledger))
            ledger.commit()
        return changed

    def _watched(self, ledger: Ledger) -> set[str]:
        """The names of exclusions and of open scans' own."""
        return {*self.policies.current(ledger.policies).names, *ledger.scans.excluded_names()}


def keep_answers(ledger: Ledger, answers: Answers) -> int:
    """Write what a look-up of excluded names said; returns how many have other addresses now.

    It locks the policy until the transaction ends: nobody forgets a name whose scan is about to be written.
    """
    ledger.policies.lock()
    known, now = _by_name(ledger), ledger.now()
    records = [
        known.get(name, ExcludedName(name, now)).asked(answers.found.get(name, ()), now)
        for name in chain(answers.found, answers.dead, answers.silent)
    ]
    changed = [record for record in records if record.addresses() != _addresses_of(known.get(record.name))]
    ledger.policies.save_names(records, is_change=bool(changed))
    return len(changed)


def _by_name(ledger: Ledger) -> dict[str, ExcludedName]:
    return {record.name: record for record in ledger.policies.excluded_names()}


def _addresses_of(record: ExcludedName | None) -> AddressSet:
    return record.addresses() if record is not None else AddressSet()

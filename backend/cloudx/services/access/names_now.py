"""What this process's own resolver says of excluded names, asked before a submit and a claim (docs/adr/0018)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import chain

from cloudx.domain.addresses import AddressSet
from cloudx.domain.names import KEEP_SECONDS

from .ports import Resolver
from .resolve_names import resolve_names

FRESH_SECONDS = 0.5  # an answer is as good as a new one for so long: many submits at once ask once


@dataclass
class NamesNow:
    """The last answers of a resolver; threads share them. Without a resolver it knows nothing.

    They only ever add to what the ledger has. So a name that moved is excluded in the next chunk, although the clock
    has not come round to it or the API is away.
    """

    resolver: Resolver | None = None
    clock: Callable[[], float] = time.monotonic
    _known: dict[str, tuple[float, AddressSet]] = field(default_factory=dict)  # by name: when it was asked for
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def look_up(self, names: Collection[str], within_seconds: float) -> AddressSet:
        """The addresses of the names, asked for again where the last answer is old; without an answer the last one."""
        if self.resolver is not None and names:
            with self._asking:  # those that come together ask once
                self._ask(self.resolver, names, within_seconds)
        return self.known(names)

    def known(self, names: Iterable[str]) -> AddressSet:
        """The addresses as of the last look-up; asks nobody."""
        known = (self._known[name][1].ranges for name in names if name in self._known)
        return AddressSet.of(chain.from_iterable(known))

    def _ask(self, resolver: Resolver, names: Collection[str], within_seconds: float) -> None:
        now = self.clock()
        last = {name: known for name, known in self._known.items() if known[0] + KEEP_SECONDS > now}
        old = [name for name in names if name not in last or last[name][0] + FRESH_SECONDS < now]
        answers, asked_at = resolve_names(resolver, old, within_seconds), self.clock()
        for name in old:
            addresses = answers.found.get(name)
            kept = last[name][1] if name in last else AddressSet()
            last[name] = asked_at, kept if addresses is None else AddressSet.of_addresses(addresses)
        self._known = last

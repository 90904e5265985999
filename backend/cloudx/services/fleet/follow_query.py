"""Follow a blocking query: hold its newest answer, and tell when it is old.

The index rules are Consul's (https://developer.hashicorp.com/consul/api-docs/features/blocking); Nomad has the same.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from cloudx.domain.backoff import Backoff
from cloudx.domain.errors import CloudxError

from .ports import Answer, BlockingQuery

T = TypeVar("T")

WAIT_SECONDS = 10.0  # also how long nobody notices a server that vanished without a word
MIN_REST_SECONDS = 0.02
RETRY = Backoff(first_seconds=0.1, longest_seconds=5.0)
_RANDOM = random.Random()  # noqa: S311 - spreads retries, keeps no secret; the state of `random` itself is shared

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceState(Generic[T]):
    """The last good answer (None before the first), when it was known to hold, and what is wrong since."""

    value: T | None = None
    held_at: float | None = None
    problem: str | None = "It has not answered yet."


class FollowedQuery(Generic[T]):
    """Sends the query again and again, in a thread of its own; `state` is always there at once."""

    def __init__(
        self,
        name: str,
        query: BlockingQuery[T],
        clock: Callable[[], float] = time.monotonic,
        random_share: Callable[[], float] = _RANDOM.random,
    ) -> None:
        self.name = name
        self.state: SourceState[T] = SourceState()
        self._query = query
        self._clock = clock
        self._random_share = random_share
        self._index = 0
        self._failures = 0
        self._on_change: Callable[[], None] = lambda: None

    def start(self, on_change: Callable[[], None]) -> None:
        """Begin, after the fork; `on_change` runs in this query's thread after each change of the state."""
        self._on_change = on_change
        threading.Thread(target=self._run, name=f"follow-{self.name}", daemon=True).start()

    def step(self) -> float:
        """Send the query once; returns how many seconds to rest before the next time."""
        try:
            answer = self._query(self._index, WAIT_SECONDS)
            started_at = self._clock()
            self._take(answer)
        except CloudxError as error:
            return self._fail(error.message)
        except Exception:  # the thread has to outlive a defect, and the state has to say that there is one
            log.exception("fleet.query_failed source=%s", self.name)
            return self._fail("Reading its answer failed; the API's log says why.")
        # However fast a big fleet changes, following it takes at most half of one core.
        return max(MIN_REST_SECONDS, self._clock() - started_at)

    def _take(self, answer: Answer[T]) -> None:
        before = self.state
        index = max(1, answer.index)  # a query with index 0 would not wait
        is_new = index != self._index or before.problem is not None
        value = answer.load() if is_new else before.value  # the wait may end without a change
        # A decreasing index: the server was restored or replaced, so the next query starts at 0.
        self._index = 0 if index < self._index else index
        self._failures = 0
        self.state = SourceState(value, self._clock(), None)
        if before.problem is not None or value != before.value:
            self._notify()

    def _fail(self, problem: str) -> float:
        had_problem = self.state.problem
        self.state = replace(self.state, problem=problem)
        self._index = 0  # whatever answers next may be another server
        self._failures += 1
        if problem != had_problem:
            log.warning("fleet.source_lost source=%s reason=%s", self.name, problem)
            self._notify()
        return RETRY.jittered_after(self._failures, self._random_share())

    def _notify(self) -> None:
        try:
            self._on_change()
        except Exception:  # a defect of the listener is not a failure of the source
            log.exception("fleet.change_not_shown source=%s", self.name)

    def _run(self) -> None:
        while True:
            time.sleep(self.step())

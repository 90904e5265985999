"""Compare the replies that reached the machine with those that the tool took in."""

from __future__ import annotations

import time

from cloudx.services.chunks.scanner_port import SendWatch, TakenIn

# zmap writes its account up to a second after it has stopped listening. A reply that came in between is late, not lost.
MARGIN_SECONDS = 1.5


class Arrivals:
    """The kernel's count of a run's replies, noted with its moment while the tool listens.

    The moment counts, not the order: on a busy machine the tool's last signs may be read when it has long stopped.
    """

    def __init__(self, watch: SendWatch | None) -> None:
        self._watch = watch
        self._noted: list[tuple[float, int]] = []  # Unix time, replies

    def note(self) -> None:
        """At each sign of a tool that has sent everything and listens."""
        if self._watch is not None:
            replies = self._watch.replies()
            self._noted.append((time.time(), replies))

    def unread(self, taken_in: TakenIn | None) -> int:
        """How many arrived in time that are not among those that the tool took in; 0 where it does not say."""
        if taken_in is None:
            return 0
        in_time = [count for moment, count in self._noted if moment <= taken_in.told_at - MARGIN_SECONDS]
        return max(0, max(in_time, default=0) - taken_in.replies)

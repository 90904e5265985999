"""Compare the replies that reached the machine with those that the tool took in."""

from __future__ import annotations

from collections import deque

from cloudx.services.chunks.scanner_port import SendWatch


class Arrivals:
    """The kernel's count of a run's replies, noted while the tool still listens.

    The tool's last sign may come when it has just stopped listening: what counts is what had arrived by the one before.
    """

    def __init__(self, watch: SendWatch | None) -> None:
        self._watch = watch
        self._noted: deque[int] = deque(maxlen=2)

    def note(self) -> None:
        """At each sign of a tool that has sent everything and listens."""
        if self._watch is not None:
            self._noted.append(self._watch.replies())

    def unread(self, replies_read: int | None) -> int:
        """How many arrived in time that are not among those that the tool took in; 0 where it does not say."""
        if replies_read is None or len(self._noted) < 2:
            return 0
        return max(0, self._noted[0] - replies_read)

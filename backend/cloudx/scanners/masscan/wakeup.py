"""Small packets that wake masscan's receiver; on a quiet interface it would sleep for ever."""

from __future__ import annotations

import contextlib
import socket
from types import TracebackType

from cloudx.domain.addresses import Address

_DISCARD_PORT = 9  # RFC 863


class ReceiverWakeup:
    """masscan 1.3 notices that its wait is over only when a packet passes on its interface.

    An empty datagram that leaves through that interface is enough (measured), so nothing depends on an answer.
    It goes to a target, since a scan sends to nobody else, not even its gateway; with a TTL of 1 it stays on the link.
    """

    def __init__(self, target: Address) -> None:
        self._target = str(target)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)

    def nudge(self) -> None:
        """Send one datagram; errors such as a full queue do not matter."""
        with contextlib.suppress(OSError):  # the next one follows in a tenth of a second
            self._socket.sendto(b"", socket.MSG_DONTWAIT, (self._target, _DISCARD_PORT))

    def __enter__(self) -> ReceiverWakeup:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

"""Send to the receivers of webhooks, on the very address that was found to be allowed."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from urllib.parse import SplitResult, urlsplit

from typing_extensions import override

from cloudx.domain.errors import InvalidInput
from cloudx.domain.webhooks.reachable import Address, Network, address_of, why_not
from cloudx.services.webhooks.ports import Answer, NotDelivered, Receivers

STEP_SECONDS = 5.0  # to connect, and for each piece of the answer
WHOLE_SECONDS = 15.0  # from the connection to the end of the answer
ANSWER_BYTES = 2_048  # that are read
MAX_URL = 2_000
_PORTS = {"http": 80, "https": 443}


class HttpReceivers(Receivers):
    """Implements Receivers: no proxy, no redirect, no address but those that are public or that a setting allows."""

    def __init__(self, allowed: Sequence[Network] = (), tls: ssl.SSLContext | None = None) -> None:
        self._allowed = tuple(allowed)
        self._tls = tls or ssl.create_default_context()

    @override
    def require_usable(self, url: str) -> None:
        parts = _parts_of(url)
        with suppress(ValueError):
            if reason := why_not(address_of(str(parts.hostname)), self._allowed):
                raise InvalidInput("url", reason)

    @override
    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        parts = _parts_of(url)
        target = parts.path or "/"
        try:
            with _Deadline() as deadline, closing(self._connect(parts, deadline)) as sock:
                connection = http.client.HTTPConnection(str(parts.hostname), parts.port or _PORTS[parts.scheme])
                connection.sock = sock
                connection.request("POST", f"{target}?{parts.query}" if parts.query else target, body, dict(headers))
                answer = connection.getresponse()
                text = _text_of(answer)
                if deadline.is_over:
                    raise TimeoutError(f"it took longer than {WHOLE_SECONDS:.0f} s")
                return Answer(answer.status, text)
        except ssl.SSLCertVerificationError as error:
            raise NotDelivered(f"Its certificate is not good: {error.verify_message}.") from error
        except (OSError, http.client.HTTPException) as error:
            raise NotDelivered(f"There was no answer: {error or type(error).__name__}.") from error

    def _connect(self, parts: SplitResult, deadline: _Deadline) -> socket.socket:
        """By the name's first address that is allowed; TLS is held to the name."""
        host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
        sock = socket.create_connection((str(self._allowed_address(host, port)), port), timeout=STEP_SECONDS)
        if parts.scheme == "https":
            sock = self._tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        deadline.sock = sock
        try:
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
        except BaseException:
            sock.close()
            raise
        return sock

    def _allowed_address(self, host: str, port: int) -> Address:
        """Looked up once: what is connected to is what was judged."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        reasons = []
        for *_, place in found:
            address = address_of(str(place[0]))
            reason = why_not(address, self._allowed, is_own=_is_own(address))
            if reason is None:
                return address
            reasons.append(reason)
        raise NotDelivered(f"Not sent: {reasons[0] if reasons else f'{host} has no address.'}")


class _Deadline:
    """Ends an exchange that goes on for too long: a receiver may send a byte at a time."""

    def __init__(self) -> None:
        self.sock: socket.socket | None = None
        self.is_over = False
        self._timer = threading.Timer(WHOLE_SECONDS, self._cut)
        self._timer.daemon = True

    def _cut(self) -> None:
        self.is_over = True
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()


def _text_of(answer: http.client.HTTPResponse) -> str:
    if 300 <= answer.status < 400:
        place = answer.getheader("Location", "?")[:200]
        return f"It redirects to {place}: no redirect is followed. Name the last address."
    return answer.read(ANSWER_BYTES).decode(errors="replace")


def _is_own(address: Address) -> bool:
    """True for an address of this machine: then the kernel takes it as the source too. Nothing is sent."""
    family = socket.AF_INET if isinstance(address, ipaddress.IPv4Address) else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))
        except OSError:
            return False
        return address_of(str(probe.getsockname()[0])) == address


def _parts_of(url: str) -> SplitResult:
    """Raises InvalidInput."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput("url", f"This is no URL: {error}.") from None
    is_plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= MAX_URL
    if parts.scheme not in _PORTS or not parts.hostname or not is_plain or port == 0:
        raise InvalidInput(
            "url", "A webhook's URL is https://HOST/… or http://HOST/…, in ASCII, of 2,000 characters at most."
        )
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            "url", "A webhook's URL has no user and no password: everybody who lists it would read them."
        )
    return parts

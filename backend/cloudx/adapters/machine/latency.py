"""Round-trip times by ICMP echo, or by TCP connects where ICMP is not allowed."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Callable

from typing_extensions import override

from cloudx.domain.addresses import Address
from cloudx.services.fleet.ports import LatencyProbe, RoundTrip

PROBE_TIMEOUT_SECONDS = 0.5
_ECHO_REQUEST = {4: 8, 6: 128}
_PROTOCOL = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
_COMMON_PORTS = (443, 80, 22)


class EchoOrConnect(LatencyProbe):
    """By ICMP first; a machine that drops it is probed by TCP, where a refusal is an answer too."""

    @override
    def round_trips(self, address: Address, count: int) -> list[RoundTrip]:
        by_echo = _several(lambda number: _echo_ms(address, number), count)
        return by_echo or _several(lambda number: _connect_ms(address, _COMMON_PORTS[number % 3]), count)


def _several(measure: Callable[[int], float | None], count: int) -> list[RoundTrip]:
    round_trips = []
    for number in range(count):
        milliseconds = measure(number)
        if milliseconds is not None:
            round_trips.append(RoundTrip(round(milliseconds, 3), time.time_ns() // 1_000_000))
    return round_trips


def _echo_ms(address: Address, sequence: int) -> float | None:
    """One echo by an unprivileged ICMP socket; the kernel fills in identifier and checksum (icmp(7))."""
    try:
        with socket.socket(_FAMILY[address.version], socket.SOCK_DGRAM, _PROTOCOL[address.version]) as sender:
            packet = struct.pack("!BBHHH", _ECHO_REQUEST[address.version], 0, 0, 0, sequence) + os.urandom(16)
            started = time.perf_counter()
            sender.sendto(packet, (str(address), 0))
            return (time.perf_counter() - started) * 1000 if _readable(sender) else None
    except OSError:  # not permitted (net.ipv4.ping_group_range), or no route
        return None


def _readable(sender: socket.socket) -> bool:
    readable, _, _ = select.select([sender], [], [], PROBE_TIMEOUT_SECONDS)
    return bool(readable)


def _connect_ms(address: Address, port: int) -> float | None:
    started = time.perf_counter()
    try:
        with socket.create_connection((str(address), port), PROBE_TIMEOUT_SECONDS):
            pass
    except ConnectionRefusedError:
        pass  # the machine answered
    except OSError:
        return None
    return (time.perf_counter() - started) * 1000

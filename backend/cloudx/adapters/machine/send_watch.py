"""Count a run's probes as the kernel hands them to the interface, what that says it dropped, and the answers to them.

An exit code proves nothing here: masscan and zmap end well although the link was away. A packet socket sees each frame
after the queue, where nothing but the driver can drop it (packet(7)); with a receive buffer of nearly nothing it copies
none of them, and the kernel still counts all that pass its filter (PACKET_STATISTICS).
"""

from __future__ import annotations

import ctypes
import socket
import struct
from contextlib import nullcontext

from typing_extensions import override

from cloudx.domain.errors import CloudxError
from cloudx.domain.proof.sending import ProbeFrames, SendRecord
from cloudx.services.chunks.scanner_port import SendWatch

from .ip_command import ip_json

_SOL_PACKET, _PACKET_STATISTICS = 263, 6  # linux/if_packet.h
_SO_ATTACH_FILTER = 26
_ETH_P_ALL, _ETH_P_IP = 3, 0x0800
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "icmp": socket.IPPROTO_ICMP}
# Classic BPF, linux/filter.h. The two offsets are the kernel's own words about a packet.
_LOAD_WORD, _LOAD_BYTE, _LOAD_HALF_AT_X, _LOAD_BYTE_AT_X = 0x20, 0x30, 0x48, 0x50
_X_IS_HEADER_LENGTH, _IF_EQUAL, _IF_GREATER, _IF_AT_LEAST, _RETURN = 0xB1, 0x15, 0x25, 0x35, 0x06
_PROTOCOL_OF_FRAME, _DIRECTION = 0xFFFFF000, 0xFFFFF004
_TO_US, _OUTGOING = 0, 4  # linux/if_packet.h
_SYN_ALONE, _SYN_ACK, _ECHO_REQUEST = 0x02, 0x12, 8
_SOURCE_PORT_AT, _DESTINATION_PORT_AT = 0, 2

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, value
Test = tuple[Instruction, tuple[int, int] | None]  # a load, and the comparison that must hold


class KernelSendWatch(SendWatch):
    """Counts from its making until `end`. Needs CAP_NET_RAW, as the scanners do."""

    def __init__(self, interface: str, frames: ProbeFrames) -> None:
        """Start counting. Raises CloudxError where the interface is gone or the socket does not open."""
        self._interface = interface
        self._replies = 0
        try:
            self._socket = _counting_socket(interface, _probes(frames))
            self._reply_socket = _counting_socket(interface, _replies(frames)) if frames.counts_replies else None
        except OSError as error:
            raise CloudxError(
                f"The frames that leave by {interface} cannot be counted ({error.strerror or error}). Run the worker "
                "as root or with CAP_NET_RAW, and check that the interface exists."
            ) from error
        self._before = _driver_counts(interface)

    @override
    def replies(self) -> int:
        if self._reply_socket is not None:
            self._replies += _passed(self._reply_socket)
        return self._replies

    @override
    def end(self) -> SendRecord:
        with self._socket, self._reply_socket or nullcontext():
            passed = _passed(self._socket)
        dropped, changes = _driver_counts(self._interface)
        return SendRecord(self._interface, passed, dropped - self._before[0], changes - self._before[1])


def _passed(counter: socket.socket) -> int:
    """How many frames have passed its filter since it was last asked."""
    passed, _ = struct.unpack("II", counter.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
    return int(passed)


def _counting_socket(interface: str, program: list[Instruction]) -> socket.socket:
    counter = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)  # nothing arrives before it is bound
    try:
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
        counter.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(code))
        )
        counter.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)  # the kernel's least: it keeps hardly a frame
        counter.bind((interface, _ETH_P_ALL))
    except OSError:
        counter.close()
        raise
    return counter


def _probes(frames: ProbeFrames) -> list[Instruction]:
    """Pass what leaves and is a probe of these source ports."""
    if frames.protocol == "icmp":
        return _program(frames, _OUTGOING, _icmp_echo_requests())
    # With their flags: the resets by which the kernel refuses the answers are no probes.
    flags = _tcp_flags(_SYN_ALONE) if frames.protocol == "tcp" else []
    return _program(frames, _OUTGOING, [*flags, *_port_within(frames, _SOURCE_PORT_AT)])


def _replies(frames: ProbeFrames) -> list[Instruction]:
    """Pass a SYN-ACK to one of these ports: what a listener answers, and nothing else does."""
    return _program(frames, _TO_US, [*_tcp_flags(_SYN_ACK), *_port_within(frames, _DESTINATION_PORT_AT)])


def _icmp_echo_requests() -> list[Test]:
    return [((_LOAD_BYTE_AT_X, 0, 0, 0), (_IF_EQUAL, _ECHO_REQUEST))]


def _tcp_flags(flags: int) -> list[Test]:
    return [((_LOAD_BYTE_AT_X, 0, 0, 13), (_IF_EQUAL, flags))]


def _port_within(frames: ProbeFrames, offset: int) -> list[Test]:
    load = (_LOAD_HALF_AT_X, 0, 0, offset)
    return [(load, (_IF_AT_LEAST, frames.first_source_port)), (load, (_IF_GREATER, frames.last_source_port))]


def _program(frames: ProbeFrames, direction: int, of_payload: list[Test]) -> list[Instruction]:
    """Pass IPv4 of the protocol that goes this way and passes these tests, which count from the IP header's end."""
    tests: list[Test] = [
        ((_LOAD_WORD, 0, 0, _DIRECTION), (_IF_EQUAL, direction)),
        ((_LOAD_WORD, 0, 0, _PROTOCOL_OF_FRAME), (_IF_EQUAL, _ETH_P_IP)),
        ((_LOAD_BYTE, 0, 0, 9), (_IF_EQUAL, _PROTOCOLS[frames.protocol])),
        ((_X_IS_HEADER_LENGTH, 0, 0, 0), None),
        *of_payload,
    ]
    lines: list[Instruction] = []
    total = sum(2 if test else 1 for _, test in tests)
    for load, test in tests:
        lines.append(load)
        if test is not None:
            to_refusal = total - len(lines)  # over the rest and over the acceptance
            jumps = (to_refusal, 0) if test[0] == _IF_GREATER else (0, to_refusal)
            lines.append((test[0], *jumps, test[1]))
    return [*lines, (_RETURN, 0, 0, 1), (_RETURN, 0, 0, 0)]


def _driver_counts(interface: str) -> tuple[int, int]:
    """Frames dropped or not sent, and changes of the carrier, since the interface was made."""
    sent = ip_json("-s", "-s", "link", "show", "dev", interface)[0]["stats64"]["tx"]
    return sent["dropped"] + sent["errors"], sent["carrier_changes"]

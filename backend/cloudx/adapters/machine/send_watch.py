"""Count a run's probes as the kernel hands them to the interface, and what the interface says it dropped.

An exit code proves nothing here: masscan and zmap end well although the link was away. A packet socket sees each frame
after the queue, where nothing but the driver can drop it (packet(7)); with a receive buffer of nearly nothing it copies
none of them, and the kernel still counts all that pass its filter (PACKET_STATISTICS).
"""

from __future__ import annotations

import ctypes
import socket
import struct

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
_OUTGOING = 4
_SYN_ALONE, _ECHO_REQUEST = 0x02, 8

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, value


class KernelSendWatch(SendWatch):
    """Counts from its making until `end`. Needs CAP_NET_RAW, as the scanners do."""

    def __init__(self, interface: str, frames: ProbeFrames) -> None:
        """Start counting. Raises CloudxError where the interface is gone or the socket does not open."""
        self._interface = interface
        try:
            self._socket = _counting_socket(interface, frames)
        except OSError as error:
            raise CloudxError(
                f"The frames that leave by {interface} cannot be counted ({error.strerror or error}). Run the worker "
                "as root or with CAP_NET_RAW, and check that the interface exists."
            ) from error
        self._before = _driver_counts(interface)

    @override
    def end(self) -> SendRecord:
        with self._socket:
            passed, _ = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        dropped, changes = _driver_counts(self._interface)
        return SendRecord(self._interface, passed, dropped - self._before[0], changes - self._before[1])


def _counting_socket(interface: str, frames: ProbeFrames) -> socket.socket:
    counter = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)  # nothing arrives before it is bound
    try:
        program = _program(frames)
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


def _program(frames: ProbeFrames) -> list[Instruction]:
    """Pass what leaves, is IPv4 and of the protocol, and is a probe of these source ports."""
    tests = [
        ((_LOAD_WORD, 0, 0, _DIRECTION), (_IF_EQUAL, _OUTGOING)),
        ((_LOAD_WORD, 0, 0, _PROTOCOL_OF_FRAME), (_IF_EQUAL, _ETH_P_IP)),
        ((_LOAD_BYTE, 0, 0, 9), (_IF_EQUAL, _PROTOCOLS[frames.protocol])),
        ((_X_IS_HEADER_LENGTH, 0, 0, 0), None),
    ]
    if frames.protocol == "icmp":
        tests.append(((_LOAD_BYTE_AT_X, 0, 0, 0), (_IF_EQUAL, _ECHO_REQUEST)))
    else:
        if frames.protocol == "tcp":  # not the resets by which the kernel refuses the answers
            tests.append(((_LOAD_BYTE_AT_X, 0, 0, 13), (_IF_EQUAL, _SYN_ALONE)))
        tests.append(((_LOAD_HALF_AT_X, 0, 0, 0), (_IF_AT_LEAST, frames.first_source_port)))
        tests.append(((_LOAD_HALF_AT_X, 0, 0, 0), (_IF_GREATER, frames.last_source_port)))
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

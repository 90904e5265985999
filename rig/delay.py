"""A slow, lossy way to the targets and back. Run inside the target's namespace until it is killed.

Arguments: DELAY_MS LOSS_PERCENT. Answers go through a tunnel device into this process, which holds each for the delay,
loses some, and sends the rest on; probes are lost by a rule of the firewall. Not `tc netem`: many kernels are built
without it, and the 20,000 packets a second of this process are enough.
"""

from __future__ import annotations

import collections
import fcntl
import os
import random
import select
import socket
import struct
import sys
import time

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_SO_MARK = 36
DEVICE = "delay"
MARK = 77  # of packets that were held: they take the main route


def open_tunnel() -> int:
    tunnel = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tunnel, _TUNSETIFF, struct.pack("16sH", DEVICE.encode(), _IFF_TUN | _IFF_NO_PI))
    return tunnel


def main() -> None:
    delay_seconds, loss = float(sys.argv[1]) / 1000, float(sys.argv[2]) / 100
    tunnel = open_tunnel()
    sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    sender.setsockopt(socket.SOL_SOCKET, _SO_MARK, MARK)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    held: collections.deque[tuple[float, bytes]] = collections.deque()
    while True:
        wait = max(0.0, held[0][0] - time.monotonic()) if held else None
        if select.select([tunnel], [], [], wait)[0]:
            take(tunnel, held, delay_seconds, loss)
        now = time.monotonic()
        while held and held[0][0] <= now:
            packet = held.popleft()[1]
            sender.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))


def take(tunnel: int, held: collections.deque[tuple[float, bytes]], delay_seconds: float, loss: float) -> None:
    """Queue all packets that have arrived."""
    due = time.monotonic() + delay_seconds
    while True:
        try:
            packet = os.read(tunnel, 2048)
        except BlockingIOError:
            return
        if packet[0] >> 4 == 4 and random.random() >= loss:  # IPv6's own chatter goes nowhere
            held.append((due, packet))


if __name__ == "__main__":
    main()

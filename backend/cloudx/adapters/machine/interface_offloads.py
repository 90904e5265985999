"""The segmentation offloads of a network interface, which cost masscan a third of its replies when on."""

from __future__ import annotations

import array
import fcntl
import socket
import struct

# linux/ethtool.h and linux/sockios.h; reading needs no privilege.
_SIOCETHTOOL = 0x8946
_GET_TSO, _GET_GSO, _GET_GRO, _GET_FLAGS = 0x1E, 0x23, 0x2B, 0x25
_FLAG_LRO = 1 << 15
_MAX_NAME_BYTES = 15


def offloads_on(interface: str) -> bool:
    """True when TSO, GSO, GRO or LRO is on: libpcap then keeps 64 KiB a packet, and masscan's ring holds 31."""
    on = any(_read(interface, command) & 1 for command in (_GET_TSO, _GET_GSO, _GET_GRO))
    return on or bool(_read(interface, _GET_FLAGS) & _FLAG_LRO)


def remedy_for(interface: str) -> str:
    """The command that turns them off."""
    return f"ethtool -K {interface} tso off gso off gro off lro off"


def _read(interface: str, command: int) -> int:
    """One flag word; 0 where the driver knows no such offload."""
    value = array.array("I", [command, 0])
    name = interface.encode()[:_MAX_NAME_BYTES]
    request = struct.pack("16sP16x", name, value.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            fcntl.ioctl(probe, _SIOCETHTOOL, request)
        except OSError:
            return 0
    return value[1]

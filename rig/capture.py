"""The packet counter: every TCP probe that reaches the target network, with its sender and time.

tcpdump keeps the first 54 bytes of each SYN (Ethernet, IPv4 and TCP headers); they are counted afterwards.
"""

from __future__ import annotations

import ipaddress
import re
import signal
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .layout import TARGET, TARGET_NETWORK, RigFolder
from .namespaces import prefix

_SNAP_BYTES = 54
_FILE_HEADER_BYTES = 24
# seconds, microseconds, kept, length | Ethernet and IPv4 up to the addresses | from, to | source port, port | the rest
_RECORD = struct.Struct("<IIII 26x 4s 4s 2x 2s 16x")
_FILTER = f"dst net {TARGET_NETWORK} and tcp[tcpflags] == tcp-syn"
_START_SECONDS = 10.0
_KERNEL_SECONDS = 1.2  # the kernel holds packets back so long, to hand over many at once
_DROPPED = re.compile(r"(\d+) packets dropped by kernel")


@dataclass(frozen=True)
class Probe:
    """A SYN packet that reached the target network."""

    at: float
    source: str
    address: str
    port: int


class Probes:
    """The probes that a capture has recorded."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @cached_property
    def by_target(self) -> Counter[tuple[bytes, bytes]]:
        """How often each (address, port) was probed."""
        return Counter((to, port) for *_, to, port in self._records())

    @cached_property
    def by_source(self) -> Counter[str]:
        """The number of probes from each VPS, by its address."""
        counted = Counter(source for *_, source, _, _ in self._records())
        return Counter({str(ipaddress.IPv4Address(source)): count for source, count in counted.items()})

    @property
    def sent(self) -> int:
        """The number of probes."""
        return sum(self.by_target.values())

    @property
    def distinct(self) -> int:
        """The number of different (address, port) pairs."""
        return len(self.by_target)

    @property
    def repeated(self) -> int:
        """The number of probes to a pair that had been probed before."""
        return self.sent - self.distinct

    def all(self) -> Iterator[Probe]:
        """Each probe, in the order of arrival."""
        for seconds, micros, _, _, source, to, port in self._records():
            addresses = str(ipaddress.IPv4Address(source)), str(ipaddress.IPv4Address(to))
            yield Probe(seconds + micros / 1e6, *addresses, int.from_bytes(port, "big"))

    def times(self) -> list[float]:
        """The arrival of each probe, in seconds since 1970."""
        return [seconds + micros / 1e6 for seconds, micros, *_ in self._records()]

    def _records(self) -> Iterator[tuple[int, int, int, int, bytes, bytes, bytes]]:
        data = memoryview(self._file.read_bytes())[_FILE_HEADER_BYTES:]
        whole = len(data) - len(data) % _RECORD.size
        return _RECORD.iter_unpack(data[:whole])


class Capture:
    """Records while it is open; `probes` is complete once it is closed."""

    def __init__(self, folder: RigFolder) -> None:
        self._file = folder.path / f"probes-{time.monotonic_ns()}.pcap"
        self._log = self._file.with_suffix(".log")
        self._tcpdump: subprocess.Popen[bytes] | None = None
        self.probes = Probes(self._file)

    def __enter__(self) -> Capture:
        # -Z root: another user could not write here. -B: a buffer of 16 MiB, for moments when tcpdump is slow.
        command = ["tcpdump", "-i", "eth0", "-n", "-s", str(_SNAP_BYTES), "-B", "16384", "-Z", "root"]
        with open(self._log, "wb") as log:
            self._tcpdump = subprocess.Popen(
                [*prefix(TARGET), *command, "-w", str(self._file), _FILTER], stdin=subprocess.DEVNULL, stderr=log
            )
        deadline = time.monotonic() + _START_SECONDS
        while b"listening on" not in self._log.read_bytes():
            assert time.monotonic() < deadline, f"tcpdump does not start: {self._log.read_text()}"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._tcpdump is not None
        time.sleep(_KERNEL_SECONDS)
        self._tcpdump.send_signal(signal.SIGINT)
        self._tcpdump.wait(20)

    @property
    def dropped(self) -> int:
        """The packets that tcpdump missed; unless it is 0, the counts mean nothing."""
        found = _DROPPED.search(self._log.read_text())
        assert found, f"tcpdump reported no count of drops: {self._log.read_text()}"
        return int(found[1])

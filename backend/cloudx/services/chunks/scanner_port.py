"""What a scanner module offers to the worker: argv, files, progress and a streaming parser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import IO, Protocol

from cloudx.domain.addresses import AddressSet
from cloudx.domain.coverage import Unprobed
from cloudx.domain.findings import Found
from cloudx.domain.nodes import Preflight
from cloudx.domain.port_set import PortSet
from cloudx.domain.proof.sending import ProbeFrames, SendRecord
from cloudx.domain.rates.prefix_caps import NO_CAPS, PrefixCaps
from cloudx.domain.tools import ScanType, Tool


@dataclass(frozen=True)
class Egress:
    """How packets leave this machine for a target: what masscan and zmap must be told."""

    interface: str
    source_ip: str
    gateway_ip: str | None  # None: the target is on the link (or is this machine)
    gateway_mac: str | None
    offloads_on: bool = False


@dataclass(frozen=True)
class Way:
    """Addresses that leave this machine alike; `why_not`, with the remedy, where masscan and zmap cannot send there."""

    addresses: AddressSet
    egress: Egress | None = None
    why_not: str = ""


@dataclass(frozen=True)
class Assignment:
    """One chunk to run: typed fields, no text that a user wrote."""

    scan_type: ScanType
    addresses: AddressSet  # of one IP version
    ports: PortSet | None  # None: the tool's default ports, or ICMP
    rate_pps: int
    raw_sockets: bool
    egress: Egress | None  # None for nmap
    tries: int = 1  # of each probe that is not answered, where the tool does not repeat them itself
    max_retries: int | None = None  # for the tool that does; None: as it likes
    timeout_seconds: int | None = None  # of one host
    is_rate_asked: bool = False  # then what the kernel sends by itself counts too
    are_known_open: bool = False  # its ports were found open on each of its addresses
    rate_per_prefix: PrefixCaps = NO_CAPS
    is_whole_scan: bool = True  # its addresses are all that the scan has left to probe

    def narrowed_to(self, addresses: AddressSet) -> Assignment:
        """The same over some of its addresses, no faster than the caps on prefixes let these go."""
        in_groups = self.scan_type.tool is Tool.NMAP
        limit_pps = self.rate_per_prefix.limit_pps(addresses, in_groups=in_groups)
        rate_pps = self.rate_pps if limit_pps is None else min(self.rate_pps, limit_pps)
        return replace(self, addresses=addresses, rate_pps=rate_pps)

    @property
    def probes(self) -> int:
        """How many probes it is, each tried once."""
        return self.addresses.size * (self.ports.size if self.ports else 1)


class Urgency(Enum):
    """What a scanner loses while it waits for a processor."""

    NONE = 0
    PACE = 1  # it falls behind its rate for good
    REPLIES = 2


@dataclass(frozen=True)
class Command:
    """A scanner run: an argv list, and the private files it reads, as lines to be written into the run's folder."""

    argv: list[str]
    files: dict[str, list[str]] = field(default_factory=dict)  # file name → lines
    urgency: Urgency = Urgency.NONE
    start_seconds: float = 0.0  # from its start to its first packet


@dataclass(frozen=True)
class RunProgress:
    """How far a run is: share of its probes sent (0–1), and whether it only waits for late replies now.

    `ends_at` is the expected end of its sending (time.monotonic); None if the tool's output does not tell.
    """

    sent_share: float
    sending_done: bool = False
    ends_at: float | None = None


@dataclass(frozen=True)
class TakenIn:
    """How many SYN-ACKs to its probes a run took in, repeated ones too, and when it told that, in Unix time."""

    replies: int
    told_at: float


class Scanner(Protocol):
    """One tool. Stateless; everything about a run is in its folder."""

    tool: Tool

    def command(self, assignment: Assignment, folder: Path) -> Command:
        """The whole argv and its files; pure, compared line by line in tests."""
        ...

    def probe_frames(self, assignment: Assignment, folder: Path) -> ProbeFrames | None:
        """How the run's probes are told among the frames that leave; None where the tool's output proves what left."""
        ...

    def next_command(self, assignment: Assignment, folder: Path) -> Command | None:
        """A further pass of a run that has succeeded until now, over what it left open; None when there is none."""
        return None

    def follow(
        self, assignment: Assignment, folder: Path, stdout: IO[bytes], stderr: IO[bytes]
    ) -> Iterator[RunProgress]:
        """Read the run's output as it comes and yield progress until both streams end.

        Whatever is read of results is spooled into `folder`; memory stays flat.
        """
        ...

    def findings(self, assignment: Assignment, folder: Path) -> Iterator[Found]:
        """Stream the findings from `folder` after the run, duplicates and strays already dropped."""
        ...

    def unprobed(self, assignment: Assignment, folder: Path) -> Unprobed | None:
        """What a run that succeeded did not probe; None if it probed everything, as far as its output tells."""
        ...

    def taken_in(self, folder: Path) -> TakenIn | None:
        """What a good run tells of the replies it took in; None where it does not."""
        return None

    def last_words(self, folder: Path) -> str:
        """The tool's own last error lines, for a failed chunk."""
        ...

    def succeeded(self, exit_code: int, folder: Path) -> bool:
        """True when the run's output is whole, so that the chunk may count as probed."""
        ...


class SendWatch(Protocol):
    """Watches an interface while a run sends."""

    def replies(self) -> int:
        """How many SYN-ACKs have reached the run's ports so far; 0 where its frames do not count them."""
        ...

    def end(self) -> SendRecord:
        """What has left since the watch began; it is over then."""
        ...


class Machine(Protocol):
    """The machine a worker runs on."""

    def preflight(self) -> Preflight:
        """What the machine can do now, and its checks."""
        ...

    def ways_to(self, addresses: AddressSet) -> list[Way]:
        """How masscan's and zmap's packets leave for these addresses. Raises CloudxError where that may pass."""
        ...

    def source_for(self, addresses: AddressSet) -> str | None:
        """The address that the kernel would send from to these; None where it is not one for all of them."""
        ...

    def watch_sending(self, interface: str, frames: ProbeFrames) -> SendWatch:
        """Begin to count these frames. Raises CloudxError where that cannot be done."""
        ...

"""A scan: what was submitted, and the states it goes through."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from .addresses import AddressSet
from .errors import IllegalTransition
from .names import HostNames
from .port_set import PortSet
from .rates.prefix_caps import NO_CAPS, PrefixCaps
from .timing.holds import NO_HOLD, Hold
from .tools import UNBOUNDED_PPS, ScanType, Tool, scan_type_of


class ScanStatus(StrEnum):
    """The states of a scan; the last three are final."""

    SUBMITTED = "submitted"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_final(self) -> bool:
        """True when the scan will never change again."""
        return not TRANSITIONS[self]


_S = ScanStatus
TRANSITIONS: dict[ScanStatus, frozenset[ScanStatus]] = {
    # completed straight from submitted: everything was excluded, so there is nothing to run
    _S.SUBMITTED: frozenset({_S.RUNNING, _S.COMPLETED, _S.FAILED, _S.STOPPED}),
    _S.RUNNING: frozenset({_S.COMPLETED, _S.FAILED, _S.STOPPED}),
    _S.COMPLETED: frozenset(),
    _S.FAILED: frozenset(),
    _S.STOPPED: frozenset(),
}


@dataclass(frozen=True)
class Scan:
    """One scan as it was submitted, and where it stands. Times are UTC and from the ledger's clock."""

    id: str
    tool: Tool
    type_name: str
    target_text: str  # as the user wrote it, for display only
    addresses: AddressSet  # to be probed: submitted minus excluded; chunks are slices of it
    ports: PortSet | None
    rate_pps: int  # packets per second over the whole fleet
    excluded_addresses: int  # excluded at submit, and not in `addresses`
    created_at: datetime
    created_by: str
    name: str | None = None
    priority: int = 0
    status: ScanStatus = ScanStatus.SUBMITTED
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    host_names: HostNames = field(default_factory=dict)
    excluded_names: tuple[str, ...] = ()  # of its own `exclude`: every address they have, now and later
    warnings: tuple[str, ...] = ()  # what was not taken as it was asked, and why; a sentence each
    max_workers: int | None = None  # the most that are dispatched for it at once
    waiting_reason: str | None = None  # why it does not go faster, with the remedy
    retries: int | None = None  # tries beyond the first of each unanswered probe; None: the tool's own
    budget_seconds: int | None = None  # from its start; what is not reached by then is not probed
    timeout_seconds: int | None = None  # nmap alone: when a host is given up
    splits_ports: bool = False  # nmap alone: a host takes so long that its ports are cut too
    resolve: bool = False  # look up the names of what is found
    rate_per_prefix: PrefixCaps = NO_CAPS
    hold: Hold = NO_HOLD  # what keeps it from running although it is open
    # A scan of two stages is two in the ledger; what people see is the first (docs/adr/0038).
    followed_by: str | None = None  # of a first stage: the id of the second
    then_type: str | None = None  # of a first stage: the second's scan type
    then_rate_pps: int | None = None  # of a first stage: what the second takes of the rate that was asked
    first_weight: float = 1.0  # of a first stage: its part of the bar
    follows: str | None = None  # of a second stage: the id of the first
    followed_units: int = 0  # of a second stage: the open ports that it was given until now

    @property
    def public_id(self) -> str:
        """The id by which people know it, and under which its findings are kept."""
        return self.follows or self.id

    @property
    def type(self) -> ScanType:
        """What the scan type needs and counts."""
        return scan_type_of(self.tool, self.type_name, self.ports is not None and self.ports.udp_ranges)

    @property
    def asked_rate_pps(self) -> int | None:
        """The rate as a user knows it; None where none was asked and the tool paces itself."""
        return self.rate_pps + (self.then_rate_pps or 0) if self.rate_pps < UNBOUNDED_PPS else None

    def prefix_limit_pps(self, addresses: AddressSet) -> int | None:
        """The fastest that a run over these addresses may go, by the caps on prefixes; None where none applies."""
        return self.rate_per_prefix.limit_pps(addresses, in_groups=self.tool is Tool.NMAP)

    @property
    def counts_hosts(self) -> bool:
        """True where coverage is counted in hosts, False where it is in probes."""
        return self.type.counts_hosts and not self.splits_ports

    @property
    def units_per_address(self) -> int:
        """Probes for one address; 1 where hosts are counted or there are no ports."""
        return 1 if self.counts_hosts or self.ports is None else self.ports.size

    @property
    def target_count(self) -> int:
        """The addresses that were submitted, including the excluded."""
        return self.addresses.size + self.excluded_addresses

    @property
    def planned_units(self) -> int:
        """All that was submitted, including the excluded, in probes or hosts; of a second stage what it was given."""
        return self.followed_units if self.follows else self.target_count * self.units_per_address

    def moved_to(self, status: ScanStatus, at: datetime, error: str | None = None) -> Scan:
        """The scan in its next state; raises IllegalTransition."""
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"Scan {self.id} is {self.status}; it cannot become {status}.", status=self.status)
        started = self.started_at or (at if status is ScanStatus.RUNNING else None)
        return replace(
            self,
            status=status,
            started_at=started,
            finished_at=at if status.is_final else None,
            error=error if error is not None else self.error,
        )

    def paused(self, by: str, at: datetime) -> Scan:
        """Held by somebody from now on; as it is where it is paused already. Raises IllegalTransition."""
        self._require_open("pause")
        return self if self.hold.is_paused else replace(self, hold=self.hold.paused(by, at, self.started_at))

    def resumed(self, at: datetime) -> Scan:
        """Paused no more; as it is where it was not. Raises IllegalTransition."""
        self._require_open("resume")
        return replace(self, hold=self.hold.resumed(at, self.started_at)) if self.hold.is_paused else self

    def _require_open(self, what: str) -> None:
        if self.status.is_final:
            raise IllegalTransition(
                f"Scan {self.id} is {self.status}: there is nothing left to {what}. Submit it again to scan again.",
                status=self.status,
            )

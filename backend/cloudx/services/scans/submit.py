"""Submit a scan: parse, resolve, check, plan, and write it whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from cloudx.domain.access import Principal, Role
from cloudx.domain.addresses import AddressSet
from cloudx.domain.errors import Conflict, Forbidden, InvalidInput, NoCapableNode
from cloudx.domain.identity import excluded_part
from cloudx.domain.names import Family
from cloudx.domain.nodes import Node, capable
from cloudx.domain.planning.chunk_plan import CHUNK_SECONDS, plan
from cloudx.domain.planning.durations import with_ports_split
from cloudx.domain.port_set import PortSet
from cloudx.domain.proof.tries import tries_of
from cloudx.domain.rates.shares import sendable_pps
from cloudx.domain.reach import blocked_everywhere
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.scopes import require_in_scope
from cloudx.domain.targets import normalised
from cloudx.domain.tools import DEFAULT_RATE_PPS, SCAN_TYPES, PortRule, ScanType, Tool, scan_type_named
from cloudx.services.access.excluded_names import keep_answers
from cloudx.services.access.policy import PolicyCache
from cloudx.services.access.ports import Resolver
from cloudx.services.fleet.fit import KnownFleet
from cloudx.services.ledger.ids import new_id
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.results.document import make_document
from cloudx.services.results.inline import NOTHING
from cloudx.services.results.keep import packed

from .listed_targets import targets_of
from .resolve_targets import ResolvedTargets, resolve_targets

MAX_RATE_PPS = 10_000_000
MAX_WORKERS = 10_000
USERS_PRIORITY = 0  # the highest that an operator may give
NAMES_SECONDS = 5.0  # what a submit waits for the addresses of names that exclusions have
MAX_TIMEOUT_SECONDS = 7 * 86_400
SHOWN_RANGES = 5
SHOWN_IN_DETAILS = 1000
_LOOPBACK = AddressSet.of_texts(["0.0.0.0", "127.0.0.0-127.255.255.255"])  # noqa: S104 - a target, not a listener
_EXAMPLE_PORTS = "80, 80,443 or 1-1000"


@dataclass(frozen=True)
class ScanRequest:
    """A scan as a user typed it; `rate_pps` over the whole fleet."""

    targets: tuple[str, ...]  # empty where a list is named
    tool: str
    scan_type: str | None = None
    ports: str | None = None
    rate_pps: int | None = None
    exclude: tuple[str, ...] = ()
    priority: int = 0
    name: str | None = None
    max_workers: int | None = None
    retries: int | None = None
    budget_seconds: int | None = None
    family: Family | None = None  # None: a name's IPv4 addresses, or its IPv6 addresses where it has no other
    skip_unresolved: bool = False
    timeout_seconds: int | None = None  # of one host
    resolve: bool = False
    suspended: bool = False  # submitted paused
    list_name: str | None = None

    def sha256(self) -> str:
        """A hash that is equal for equal requests."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class SubmitScan:
    """Parses, resolves, checks and plans a scan, and writes it whole or not at all."""

    open_ledger: OpenLedger
    resolver: Resolver
    policies: PolicyCache
    fleet: KnownFleet = field(default_factory=KnownFleet)
    chunk_seconds: float = CHUNK_SECONDS

    def __call__(self, request: ScanRequest, principal: Principal, idempotency_key: str | None = None) -> Scan:
        """Write the scan and its chunks in one transaction and return it.

        An idempotency key that was used before for the same request returns the scan of that time. Raises InvalidInput,
        TooLarge, TargetOutOfScope, NoCapableNode, Forbidden or Conflict, having written nothing.
        """
        scan_type = scan_type_named(request.tool, request.scan_type)
        ports = _ports(request, scan_type)
        self._check_max_workers(request)
        _check_priority(request, principal)
        _rate_pps(request, scan_type)
        _check_timeout(request, scan_type)
        listed = replace(request, targets=targets_of(self.open_ledger, request))
        resolved = resolve_targets(
            self.resolver, listed.targets, request.exclude, request.family, request.skip_unresolved
        )
        _require_reachable(resolved.addresses - resolved.excluded, scan_type)
        self._look_up_exclusions()
        try:
            with self.open_ledger() as ledger:
                earlier = _earlier(ledger, request, principal, idempotency_key)
                if earlier:
                    return earlier
                scan = self._admit(ledger, listed, principal, scan_type, ports, resolved)
                scan = self._write(ledger, scan, request, principal, idempotency_key)
                ledger.commit()
                return scan
        except Conflict:
            # The same key arrived twice at once and the other request was first, so its scan is the answer.
            with self.open_ledger() as ledger:
                earlier = _earlier(ledger, request, principal, idempotency_key)
            if earlier is None:
                raise
            return earlier

    def _look_up_exclusions(self) -> None:
        """Ask what the names of exclusions resolve to now; before the transaction that writes."""
        with self.open_ledger(read_only=True) as ledger:
            policy = self.policies.current(ledger.policies)
        self.policies.excluded(policy, {}, (), NAMES_SECONDS)

    def _admit(
        self,
        ledger: Ledger,
        request: ScanRequest,
        principal: Principal,
        scan_type: ScanType,
        ports: PortSet | None,
        resolved: ResolvedTargets,
    ) -> Scan:
        own_names = tuple(resolved.excluded_names.found)
        if own_names:
            keep_answers(ledger, resolved.excluded_names)
        now = ledger.now()
        policy = self.policies.current(ledger.policies)
        asked = resolved.addresses
        excluded = resolved.excluded | self.policies.excluded(policy, resolved.host_names, own_names)
        kept = asked - excluded_part(asked, excluded)
        require_in_scope(kept, policy.allowed(now, resolved.host_names))
        scan = Scan(
            id=new_id(),
            tool=scan_type.tool,
            type_name=scan_type.name,
            target_text=normalised(request.targets),
            addresses=kept,
            ports=ports,
            rate_pps=_rate_pps(request, scan_type),
            excluded_addresses=asked.size - kept.size,
            created_at=now,
            created_by=principal.name,
            name=request.name,
            priority=request.priority,
            host_names=resolved.host_names,
            excluded_names=own_names,
            warnings=resolved.warnings,
            max_workers=request.max_workers,
            retries=request.retries,
            budget_seconds=request.budget_seconds,
            timeout_seconds=request.timeout_seconds,
            resolve=request.resolve,
        )
        return scan.paused(principal.name, now) if request.suspended else scan

    def _write(
        self, ledger: Ledger, scan: Scan, request: ScanRequest, principal: Principal, idempotency_key: str | None
    ) -> Scan:
        fit = capable(self.fleet.of(ledger.nodes.all()), scan.type, scan.created_at)
        _require_sendable(scan, fit)
        workers = min(len(fit), scan.max_workers or len(fit))
        # A chunk is planned in seconds of sending, so by what can be sent: a rate may be asked that no fleet has.
        rate_pps = sendable_pps(scan.rate_pps, [node.rate_limit_pps for node in fit], workers)
        scan = with_ports_split(scan, workers, rate_pps)
        sent = replace(scan, rate_pps=rate_pps)
        ledger.scans.add(scan, plan(sent, expected_workers=workers, chunk_seconds=self.chunk_seconds / tries_of(scan)))
        if not scan.addresses:
            ledger.scans.save_state(scan.moved_to(ScanStatus.COMPLETED, scan.created_at))
            ledger.scans.keep_results(scan.id, packed(make_document(scan.tool, NOTHING)))
        if idempotency_key is not None:
            ledger.scans.remember_key(principal.key, idempotency_key, request.sha256(), scan.id)
        ledger.audit.record(principal, "scan.submit", scan.id, **_audit_detail(scan))
        ledger.dispatches.notify()
        return scan

    def _check_max_workers(self, request: ScanRequest) -> None:
        if request.max_workers is None:
            return
        if not self.fleet.workers_are_dispatched:
            raise InvalidInput(
                "max_workers",
                "Workers here are resident and share every scan; max_workers takes CLOUDX_EXECUTOR=nomad.",
            )
        if not 1 <= request.max_workers <= MAX_WORKERS:
            raise InvalidInput("max_workers", f"max_workers is from 1 to {MAX_WORKERS:,}.")


def _audit_detail(scan: Scan) -> Mapping[str, object]:
    return {
        "target": scan.target_text,
        "tool": scan.tool,
        "scan_type": scan.type_name,
        "rate": scan.asked_rate_pps,
    }


def _earlier(ledger: Ledger, request: ScanRequest, principal: Principal, key: str | None) -> Scan | None:
    known = ledger.scans.recall_key(principal.key, key) if key is not None else None
    if known is None:
        return None
    body_sha256, scan_id = known
    if body_sha256 != request.sha256():
        raise Conflict("This Idempotency-Key was used for a different scan. Use a new key for a new scan.")
    record = ledger.scans.get(scan_id)
    if record is None:
        raise Conflict("The scan of this Idempotency-Key was deleted. Use a new key for a new scan.")
    return record.scan


def _ports(request: ScanRequest, scan_type: ScanType) -> PortSet | None:
    scan_name = f"{scan_type.tool} {scan_type.name}"
    if request.ports is None or str(request.ports).strip() == "":
        if scan_type.ports in (PortRule.REQUIRED, PortRule.ONE):
            example = "80" if scan_type.ports is PortRule.ONE else _EXAMPLE_PORTS
            raise InvalidInput("port", f"{scan_name} needs a port: give for example {example}.")
        return None
    if scan_type.ports is PortRule.NONE:
        raise InvalidInput("port", f"{scan_name} sends ICMP and takes no port: leave it out.")
    ports = PortSet.parse(request.ports, "port", scan_type)
    if scan_type.ports is PortRule.ONE and ports.size != 1:
        raise InvalidInput("port", f"{scan_name} takes one port; use masscan for several.")
    return ports


def _rate_pps(request: ScanRequest, scan_type: ScanType) -> int:
    if (rate := request.rate_pps) is None:
        return DEFAULT_RATE_PPS[scan_type.tool]
    if scan_type.unheld_pps:
        paced = [known.name for known in SCAN_TYPES.values() if known.tool is Tool.NMAP and not known.unheld_pps]
        raise InvalidInput(
            "rate",
            f"{scan_type.tool} {scan_type.name} takes no rate: nothing holds its version and script probes to one. "
            f"Leave rate out, or use one of: {', '.join(paced)}.",
        )
    if not 1 <= rate <= MAX_RATE_PPS:
        raise InvalidInput("rate", f"A rate is from 1 to {MAX_RATE_PPS} packets per second over the whole fleet.")
    return rate


def _check_priority(request: ScanRequest, principal: Principal) -> None:
    """Raise Forbidden for a priority above USERS_PRIORITY that is not an admin's."""
    if request.priority > USERS_PRIORITY and not principal.reaches(Role.ADMIN):
        raise Forbidden(
            f"A priority above {USERS_PRIORITY} is an admin's to give, since such a scan goes before everybody else's; "
            f"{principal.name} has {principal.role}. Leave it out, or ask an admin."
        )


def _check_timeout(request: ScanRequest, scan_type: ScanType) -> None:
    if request.timeout_seconds is None:
        return
    if scan_type.tool is not Tool.NMAP:
        raise InvalidInput(
            "timeout_seconds",
            f"{scan_type.tool} gives no host up: leave timeout_seconds out, or use nmap.",
        )
    if not 1 <= request.timeout_seconds <= MAX_TIMEOUT_SECONDS:
        raise InvalidInput("timeout_seconds", f"timeout_seconds is from 1 to {MAX_TIMEOUT_SECONDS:,}, for one host.")


def _require_sendable(scan: Scan, fit: Sequence[Node]) -> None:
    """Refuse what masscan and zmap can send to from no fit node. Raises NoCapableNode."""
    if scan.tool is Tool.NMAP:
        return
    stuck = blocked_everywhere(scan.addresses, [node.reach for node in fit])
    if not stuck:
        return
    ranges = stuck.texts()
    more = f" and {len(ranges) - SHOWN_RANGES:,} more" if len(ranges) > SHOWN_RANGES else ""
    raise NoCapableNode(
        f"{scan.tool} cannot send to {', '.join(ranges[:SHOWN_RANGES])}{more} from any node that could run it: it "
        f"sends by a gateway, and each of them has these addresses on its own network or has no route there. Scan "
        "them with nmap, or leave them out with `exclude`.",
        addresses=ranges[:SHOWN_IN_DETAILS],
    )


def _require_reachable(targets: AddressSet, scan_type: ScanType) -> None:
    """Refuse what masscan and zmap can never reach: they write IPv4 Ethernet frames, and loopback has none."""
    if scan_type.tool is Tool.NMAP:
        return
    if targets.ipv4_size < targets.size:
        raise InvalidInput("target", f"{scan_type.tool} scans IPv4 alone here; use nmap for IPv6 addresses.")
    if targets & _LOOPBACK:
        raise InvalidInput("target", f"{scan_type.tool} cannot scan loopback (127.0.0.0/8); use nmap for it.")

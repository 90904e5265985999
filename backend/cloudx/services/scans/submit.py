"""Submit a scan: parse, resolve, check, plan, and write it whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from cloudx.domain.access import Principal
from cloudx.domain.errors import Conflict, InvalidInput
from cloudx.domain.identity import excluded_part
from cloudx.domain.nodes import capable
from cloudx.domain.planning.chunk_plan import CHUNK_SECONDS
from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.scopes import require_in_scope
from cloudx.domain.targets import normalised
from cloudx.domain.tools import ScanType, scan_type_named
from cloudx.services.access.excluded_names import keep_answers
from cloudx.services.access.policy import PolicyCache
from cloudx.services.access.ports import Resolver
from cloudx.services.fleet.fit import KnownFleet
from cloudx.services.ledger.ids import new_id
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.results.document import make_document
from cloudx.services.results.inline import NOTHING
from cloudx.services.results.keep import packed

from .cut import cut_scan
from .hours import held_by_hours
from .listed_targets import targets_of
from .resolve_targets import ResolvedTargets, resolve_targets
from .scan_request import ScanRequest as ScanRequest
from .scan_request import (
    caps_of,
    check_priority,
    check_timeout,
    ports_of,
    rate_pps_of,
    require_prefixes,
    require_reachable,
)
from .second_stage import second_type_of, weighed, with_second

MAX_WORKERS = 10_000
NAMES_SECONDS = 5.0  # what a submit waits for the addresses of names that exclusions have


class Occasion(Protocol):
    """What a scan is submitted for: it is in the same transaction, so both are kept or neither is."""

    def begin(self, ledger: Ledger) -> None:
        """Before anything is written. Raises Conflict where another process has served it."""
        ...

    def end(self, ledger: Ledger, scan: Scan) -> None:
        """With the scan that was written."""
        ...


@dataclass(frozen=True)
class ReadRequest:
    """A request with its lists' targets and its names' addresses."""

    request: ScanRequest
    scan_type: ScanType
    ports: PortSet | None
    resolved: ResolvedTargets
    second_type: ScanType | None = None  # of what follows


@dataclass(frozen=True)
class SubmitScan:
    """Parses, resolves, checks and plans a scan, and writes it whole or not at all."""

    open_ledger: OpenLedger
    resolver: Resolver
    policies: PolicyCache
    fleet: KnownFleet = field(default_factory=KnownFleet)
    chunk_seconds: float = CHUNK_SECONDS

    def check(self, request: ScanRequest, principal: Principal) -> tuple[ScanType, PortSet | None]:
        """What can be said of it before anything is looked up. Raises InvalidInput or Forbidden."""
        scan_type = scan_type_named(request.tool, request.scan_type)
        ports = ports_of(request, scan_type)
        self._check_max_workers(request)
        check_priority(request, principal)
        rate_pps_of(request, scan_type)
        caps_of(request, scan_type)
        check_timeout(request, second_type_of(request.then, scan_type) or scan_type)
        return scan_type, ports

    def __call__(
        self,
        request: ScanRequest,
        principal: Principal,
        idempotency_key: str | None = None,
        occasion: Occasion | None = None,
    ) -> Scan:
        """Write the scan and its chunks in one transaction and return it.

        An idempotency key that was used before for the same request returns the scan of that time. Raises InvalidInput,
        TooLarge, TargetOutOfScope, NoCapableNode, Forbidden or Conflict, having written nothing.
        """
        read = self.read(request, principal)
        try:
            with self.open_ledger() as ledger:
                earlier = _earlier(ledger, request, principal, idempotency_key)
                if earlier:
                    return earlier
                if occasion is not None:
                    occasion.begin(ledger)
                if read.resolved.excluded_names.found:
                    keep_answers(ledger, read.resolved.excluded_names)
                scan, second = self.admit(ledger, read, principal), None
                if read.second_type is not None and scan.addresses:
                    scan, second = with_second(scan, read.second_type, request.rate_pps)
                scan = self._write(ledger, scan, second, request, principal, idempotency_key)
                if occasion is not None:
                    occasion.end(ledger, scan)
                ledger.commit()
                return scan
        except Conflict:
            # The same key arrived twice at once and the other request was first, so its scan is the answer.
            with self.open_ledger() as ledger:
                earlier = _earlier(ledger, request, principal, idempotency_key)
            if earlier is None:
                raise
            return earlier

    def read(self, request: ScanRequest, principal: Principal) -> ReadRequest:
        """All that can be said of it before the transaction that writes; it asks for the names' addresses."""
        scan_type, ports = self.check(request, principal)
        listed = replace(request, targets=targets_of(self.open_ledger, request))
        resolved = resolve_targets(
            self.resolver, listed.targets, request.exclude, request.family, request.skip_unresolved
        )
        require_reachable(resolved.addresses - resolved.excluded, scan_type)
        self._look_up_exclusions()
        return ReadRequest(listed, scan_type, ports, resolved, second_type_of(request.then, scan_type))

    def _look_up_exclusions(self) -> None:
        """Ask what the names of exclusions resolve to now; before the transaction that writes."""
        with self.open_ledger(read_only=True) as ledger:
            policy = self.policies.current(ledger.policies)
        self.policies.excluded(policy, {}, (), NAMES_SECONDS)

    def admit(self, ledger: Ledger, read: ReadRequest, principal: Principal) -> Scan:
        """The scan less what is excluded now. Raises TargetOutOfScope; writes nothing."""
        request, scan_type, resolved = read.request, read.scan_type, read.resolved
        own_names = tuple(resolved.excluded_names.found)
        now = ledger.now()
        policy = self.policies.current(ledger.policies)
        asked = resolved.addresses
        excluded = resolved.excluded | self.policies.excluded(policy, resolved.host_names, own_names)
        kept = asked - excluded_part(asked, excluded)
        require_in_scope(kept, policy.allowed(now, resolved.host_names))
        caps = caps_of(request, scan_type)
        require_prefixes(caps, kept)
        scan = Scan(
            id=new_id(),
            tool=scan_type.tool,
            type_name=scan_type.name,
            target_text=normalised(request.targets),
            addresses=kept,
            ports=read.ports,
            rate_pps=rate_pps_of(request, scan_type),
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
            rate_per_prefix=caps,
        )
        scan = replace(scan, hold=held_by_hours(scan, policy.scopes, now))
        return scan.paused(principal.name, now) if request.suspended else scan

    def _write(
        self,
        ledger: Ledger,
        scan: Scan,
        second: Scan | None,
        request: ScanRequest,
        principal: Principal,
        idempotency_key: str | None,
    ) -> Scan:
        nodes = self.fleet.of(ledger.nodes.all())
        cut = cut_scan(scan, nodes, self.chunk_seconds)
        scan = cut.scan
        if second is not None:
            scan = weighed(scan, second, cut.rate_pps, capable(nodes, second.type, scan.created_at))
            ledger.scans.add(second, ())
        ledger.scans.add(scan, cut.spans)
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
        **({"then": f"nmap {scan.then_type}"} if scan.then_type else {}),
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

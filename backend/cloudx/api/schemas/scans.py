"""Scans."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel, StrictInt, StrictStr, StringConstraints

from cloudx.domain.errors import InvalidInput
from cloudx.domain.names import Family
from cloudx.domain.proof.tries import MAX_RETRIES
from cloudx.domain.scans import ScanStatus
from cloudx.domain.tools import Tool
from cloudx.services.scans.second_stage import Then
from cloudx.services.scans.submit import ScanRequest

from .common import Body, Name, Parameters, TargetList, TargetText
from .stages import StageCounts, ThenBody, ThenShown

MAX_PRIORITY = 1000
MAX_BUDGET_SECONDS = 366 * 86400
MAX_PAGE = 1000  # scans; the frontend that exists asks for no second page
_FRONTENDS_FIELDS = {"target", "tool", "scan_type", "port"}
_PortText = Annotated[StrictStr, StringConstraints(max_length=100_000)]
Ports = StrictInt | _PortText
PrefixLength = Annotated[StrictStr, StringConstraints(max_length=3)]


class SubmitBody(Body):
    """What to scan, and how."""

    target: TargetText | None = Field(None, description="Addresses, CIDRs, ranges, names; comma, space or newline")
    targets: TargetList | None = Field(None, description="The same as a list")
    list_name: Name | None = Field(None, alias="list", description="A named list (/api/lists) in place of targets")
    tool: str = Field(max_length=64, examples=["nmap"], description="nmap, masscan or zmap")
    scan_type: str | None = Field(None, max_length=64, examples=["tcp"])
    port: Ports | None = Field(None, examples=[80, "80,443", "1-1000", "http", "T:80,U:53"])
    ports: Ports | None = Field(None, description="The same as port")
    rate: int | None = Field(
        None,
        description="Packets per second over the whole fleet; without one nmap paces itself within nodes' limits",
    )
    exclude: TargetText | TargetList | None = None
    priority: int = Field(
        0, ge=-MAX_PRIORITY, le=MAX_PRIORITY, description="Higher goes first; above 0 it takes an admin"
    )
    name: Name | None = None
    retries: int | None = Field(
        None, ge=0, le=MAX_RETRIES, description="Tries beyond the first of each probe that is not answered"
    )
    rate_per_prefix: dict[PrefixLength, StrictInt] | None = Field(
        None, description="Packets per second to any one prefix, by its length", examples=[{"24": 200}]
    )
    budget_seconds: int | None = Field(
        None, ge=1, le=MAX_BUDGET_SECONDS, description="The scan is stopped so long after it began; what it found stays"
    )
    timeout_seconds: int | None = Field(
        None, description="nmap alone: a host that takes longer is given up and counts as failed (not_reached)"
    )
    max_workers: int | None = Field(None, description="At most so many workers at a time, where Nomad dispatches them")
    family: Annotated[Family, Field(strict=False)] | None = Field(
        None, description="Which addresses of a name: by default ipv4, or ipv6 where it has no other"
    )
    skip_unresolved: bool = Field(False, description="Go on without host names that have no address, with a warning")
    suspended: bool = Field(False, description="Submit it paused; POST /api/scans/ID/resume starts it")
    resolve: bool | None = Field(
        None,
        description="Look up the host names (PTR) of what is found. Left out, it is false, unless the body has nothing "
        "but target, tool, scan_type and port, as the web frontend's has",
    )

    then: ThenBody | None = Field(
        None, description="Of masscan tcp_scan and zmap tcp_syn: nmap on the open ports, as they are found"
    )

    def to_request(self) -> ScanRequest:
        """The form that the service takes. Raises InvalidInput."""
        return ScanRequest(
            targets=self._targets(),
            tool=self.tool,
            scan_type=self.scan_type,
            ports=self._ports(),
            rate_pps=self.rate,
            exclude=(self.exclude,) if isinstance(self.exclude, str) else tuple(self.exclude or ()),
            priority=self.priority,
            name=self.name,
            max_workers=self.max_workers,
            retries=self.retries,
            budget_seconds=self.budget_seconds,
            rate_per_prefix=self.rate_per_prefix,
            family=self.family,
            skip_unresolved=self.skip_unresolved,
            timeout_seconds=self.timeout_seconds,
            suspended=self.suspended,
            list_name=self.list_name,
            then=None if self.then is None else Then(self.then.tool, self.then.scan_type),
            resolve=self._is_the_frontends() if self.resolve is None else self.resolve,
        )

    def _is_the_frontends(self) -> bool:
        """True for what a person typed into the frontend, which shows names and cannot ask for them."""
        return self.model_fields_set <= _FRONTENDS_FIELDS and self.target is not None

    def _targets(self) -> tuple[str, ...]:
        if self.target is None and self.targets is None and self.list_name is None:
            raise InvalidInput("target", "No target given. Name at least one address, CIDR, range or host name.")
        return ((self.target,) if self.target is not None else ()) + tuple(self.targets or ())

    def _ports(self) -> str | None:
        if self.port is not None and self.ports is not None:
            raise InvalidInput("ports", "Give port or ports, not both.")
        given = self.port if self.port is not None else self.ports
        # Python refuses to write out integers of thousands of digits; no port has more than five.
        if isinstance(given, int) and not 1 <= given <= 65535:
            raise InvalidInput("port", "A port is from 1 to 65535. Write 80, 80,443 or 1-1000.")
        return None if given is None else str(given)


class SubmitHeaders(Parameters):
    """A key that lets a client repeat a request without a second scan."""

    idempotency_key: str | None = Field(
        None, alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"
    )


class ScanPath(Parameters):
    """The id of a scan."""

    scan_id: str


class ScansQuery(Parameters):
    """The page, the status and the tool to list."""

    limit: int = Field(MAX_PAGE, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(None, description="From the Link header of the page before", max_length=64)
    status: ScanStatus | None = None
    tool: Tool | None = None
    results: bool = Field(True, description="false leaves out what was found, for a list that is polled")


class ScanSubmitted(BaseModel):
    """The scan is in the database."""

    job_id: str
    status: Literal["submitted", "running", "completed", "failed", "stopped"]


class ScanItem(BaseModel):
    """A scan in a list."""

    job_id: str
    tool: str
    target: str = Field(description="What was written, each entry once, commas between; in a list at most 2 KB of it")
    target_truncated: bool = Field(description="The target is cut; GET /api/scans/ID has it whole")
    target_count: int = Field(description="Addresses, the excluded included")
    scan_type: str
    status: ScanStatus
    paused: bool = Field(description="Somebody has paused it: nothing of it runs until it is resumed")
    waits_until: str | None = Field(
        description="When the hours of its scopes open; null: they are open, or it has none"
    )
    progress: float = Field(ge=0, le=100)
    results: dict[str, Any] | None = Field(description="null while nothing was found, or over the answer's bound")
    results_truncated: bool = Field(description="There is more, or all of it, at results_url")
    results_url: str
    created_at: str
    name: str | None
    error: str | None
    then: ThenShown | None = Field(description="What follows on the open ports")


class ScanList(RootModel[list[ScanItem]]):
    """One page of scans, newest first."""


class Assumptions(BaseModel):
    """What a completed probe rests on: answers that come later, or of which every try was lost, are not seen."""

    tries: int = Field(description="Of a probe that is not answered, the first included; at least")
    wait_seconds: float = Field(description="For the answer, after the last probe of a run")


class CoverageCounts(BaseModel):
    """Counts in probes, for nmap in hosts; of two stages the sums."""

    unit: Literal["probes", "hosts"]
    stages: list[StageCounts] = Field(description="Empty unless the scan has two")
    planned: int
    completed: int
    excluded: int
    failed: int
    remaining: int
    not_reached: int = Field(
        description="What remained when the scan ended, and of the failed what was given up at its timeout_seconds"
    )
    packets_sent: int | None = Field(
        description="Probes that left, counted by the kernel over all tries; null where nothing was counted (nmap)"
    )
    assumes: Assumptions


class ChunkCounts(BaseModel):
    """How many chunks are in each state."""

    pending: int
    leased: int
    done: int
    failed: int
    cancelled: int


class WorkerItem(BaseModel):
    """A node's part in a scan; `rate` in packets per second, now."""

    node_id: str
    chunks_done: int
    rate: int


class ScanDetail(ScanItem):
    """A scan shown alone, with its coverage, chunks and workers."""

    ports: str | None
    priority: int
    rate: int | None = Field(description="Packets per second over the whole fleet; null: none asked, nmap paces itself")
    started_at: str | None
    finished_at: str | None
    eta_seconds: int | None
    created_by: str
    max_workers: int | None
    retries: int | None
    budget_seconds: int | None
    rate_per_prefix: dict[str, int] | None = Field(description="Packets per second to any one prefix, by its length")
    timeout_seconds: int | None = Field(description="After which nmap gives a host up")
    resolve: bool = Field(description="The host names of what is found are looked up")
    waiting_reason: str | None = Field(description="Why it does not go faster, while it does not")
    paused_at: str | None
    paused_by: str | None
    warnings: list[str] = Field(description="What was not taken or not probed although the scan went on, and why")
    coverage: CoverageCounts
    chunks: ChunkCounts
    workers: list[WorkerItem]


class AttemptItem(BaseModel):
    """One try at a chunk."""

    attempt: int
    node_id: str
    worker_id: str
    started_at: str
    ended_at: str | None
    outcome: str | None
    packets_sent: int | None


class ChunkItem(BaseModel):
    """One chunk of the proof, with every try at it."""

    stage: int = Field(description="1, or 2 for what follows on open ports; chunks are numbered within their stage")
    number: int
    state: str
    units: int
    excluded: int
    failed: int
    sent_share: float = Field(ge=0, le=1, description="Of its probes, when its last run ended or reported")
    addresses: list[str]
    ports: str | None
    node_id: str | None
    attempt: int
    error: str | None
    attempts: list[AttemptItem]


class CoverageProof(CoverageCounts):
    """planned = completed + excluded + failed once remaining is 0, and where each part was done."""

    scan_id: str
    status: ScanStatus
    balances: bool
    excluded_at_submit: int
    chunks: list[ChunkItem]

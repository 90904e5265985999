"""The worker and the node agent of this machine."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cloudx import __version__
from cloudx.adapters.database import RotatingEngine, open_ledger_on, schema_problem
from cloudx.config import Executor, Settings
from cloudx.domain.chunks import RENEW_SECONDS
from cloudx.domain.errors import BadConfiguration, DependencyUnavailable
from cloudx.domain.nodes import Check, NodeRole
from cloudx.domain.tools import Tool
from cloudx.services.access.names_now import NamesNow
from cloudx.services.access.policy import PolicyCache
from cloudx.services.chunks.claim import ClaimChunk
from cloudx.services.chunks.queue import Claimant
from cloudx.services.chunks.renew import RenewLeases
from cloudx.services.fleet.judge_clock import CheckClock, judge_clock
from cloudx.services.fleet.judge_send_rate import judge_send_rate
from cloudx.services.fleet.ports import NodeReporter
from cloudx.services.fleet.report import LedgerReporter
from cloudx.services.ledger.ledger import OpenLedger

from .database import make_data_folder

if TYPE_CHECKING:
    from cloudx.services.chunks.scanner_port import Scanner
    from cloudx.worker.hear_work import HearWork
    from cloudx.worker.machine_checks import MachineChecks
    from cloudx.worker.node_agent import NodeAgent, NodeIdentity
    from cloudx.worker.recent_preflight import RecentPreflight
    from cloudx.worker.resident import ResidentWorker

# A local file may be polled more often than a database that a fleet shares: scans start and bars move at once.
LOCAL_IDLE_SECONDS = 0.1
LOCAL_RENEW_SECONDS = 0.5
WORKER_PREFLIGHT_SECONDS = 60.0  # it takes 30 ms of a processor that a scanner may need
WORKER_POOL_SIZE = 16  # a connection for each chunk that commits, and for claiming and renewing


class WorkerStart:
    """The start of a worker: the preflight runs while the database is read."""

    def __init__(self, settings: Settings) -> None:
        from cloudx.adapters.machine.machine import LocalMachine
        from cloudx.worker.recent_preflight import RecentPreflight

        make_data_folder(settings)
        self._settings = settings
        self._database = RotatingEngine(lambda: settings.sqlalchemy_url, WORKER_POOL_SIZE, is_busy=True)
        self._machine = LocalMachine()
        self._look = RecentPreflight(self._machine, WORKER_PREFLIGHT_SECONDS)
        threading.Thread(target=self._look, daemon=True).start()

    def why_schema_is_unfit(self) -> str | None:
        """Why a worker cannot use the database as it is, with the remedy; None when it can."""
        try:
            return schema_problem(self._database)
        except DependencyUnavailable as error:
            return error.message

    def resident_worker(self, runs_folder: Path, only_scan: str | None = None) -> ResidentWorker:
        """A worker for this machine; `only_scan` makes it leave when that scan is over."""
        from cloudx.adapters.machine.canary_probe import accepts
        from cloudx.adapters.machine.resolver import SystemResolver
        from cloudx.adapters.machine.reverse_names import SystemNameLookup
        from cloudx.services.access.edit_canaries import read_canaries
        from cloudx.worker.canary_watch import CanaryWatch
        from cloudx.worker.resident import MAX_IDLE_SECONDS, ResidentWorker
        from cloudx.worker.run_chunk import RunContext

        settings, capabilities = self._settings, self._look().capabilities
        open_ledger, policies = open_ledger_on(self._database), PolicyCache(NamesNow(SystemResolver()))
        claimant = Claimant(
            worker_id=f"{settings.node_name}/{settings.nomad_alloc_id or _process_name()}",
            node_id=settings.node_name,
            capabilities=capabilities,
            node_limit_pps=settings.cloudx_node_rate_limit_pps,
            only_scan=only_scan,
        )
        is_local = settings.uses_own_sqlite
        reports = settings.cloudx_executor is not Executor.NOMAD  # there, an agent reports the machine
        canaries = CanaryWatch(lambda: read_canaries(open_ledger), accepts)
        checks = _machine_checks(settings, self._look, (CheckClock(open_ledger), canaries), reports)
        return ResidentWorker(
            claimant=claimant,
            claim_chunk=ClaimChunk(open_ledger, policies),
            renew_leases=RenewLeases(open_ledger, policies),
            context=RunContext(
                open_ledger, scanners_by_tool(), self._machine, capabilities, runs_folder, SystemNameLookup()
            ),
            agent=self._agent(open_ledger, checks) if reports else None,
            is_fit=checks.is_fit,
            canaries=canaries,
            max_idle_seconds=LOCAL_IDLE_SECONDS if is_local else MAX_IDLE_SECONDS,
            renew_seconds=LOCAL_RENEW_SECONDS if is_local else RENEW_SECONDS,
            reconciles=settings.uses_sqlite,
            hear_work=_hear_work(settings) if only_scan is None else None,
        )

    def _agent(self, open_ledger: OpenLedger, checks: MachineChecks) -> NodeAgent:
        from cloudx.worker.node_agent import NodeAgent

        return NodeAgent(_node_identity(self._settings), checks, _reporter(self._settings, open_ledger))


def _hear_work(settings: Settings) -> HearWork | None:
    """Where there is a primary node: it tells of new work."""
    if settings.primary_node_url is None or settings.uses_sqlite:
        return None
    from cloudx.adapters.primary_node import PrimaryWork
    from cloudx.worker.hear_work import HearWork

    return HearWork(PrimaryWork(settings.primary_node_url, settings.node_token))


def _process_name() -> str:
    return f"{os.getpid()}-{uuid.uuid4().hex[:8]}"


def node_agent(settings: Settings) -> tuple[NodeAgent, Callable[[], tuple[Check, ...]]]:
    """The agent that reports this machine to the API, and the machine's checks as they are now."""
    from cloudx.adapters.machine.machine import LocalMachine
    from cloudx.adapters.primary_node import PrimaryNode
    from cloudx.worker.node_agent import NodeAgent
    from cloudx.worker.recent_preflight import RecentPreflight

    if settings.primary_node_url is None:
        raise BadConfiguration("PRIMARY_NODE_URL: an agent needs the API's address, such as http://127.0.0.1:9999.")
    primary = PrimaryNode(settings.primary_node_url, settings.node_token)
    look = RecentPreflight(LocalMachine())
    checks = _machine_checks(settings, look, (lambda: judge_clock(primary.clock_ahead_seconds),))
    agent = NodeAgent(_node_identity(settings), checks, primary)
    return agent, lambda: (*checks().checks, agent.check())


def _machine_checks(
    settings: Settings, look: RecentPreflight, others: tuple[Callable[[], Check], ...], reports: bool = True
) -> MachineChecks:
    from cloudx.adapters.machine.disk_space import disk_check
    from cloudx.adapters.machine.send_rate import SendRate
    from cloudx.worker.machine_checks import MachineChecks

    send_rate, folder = SendRate(settings.cloudx_data_dir.absolute()), settings.cloudx_data_dir
    if reports:
        send_rate.measure_in_background()

    def rate() -> tuple[int | None, Check]:
        return judge_send_rate(send_rate.on(look().interface), settings.cloudx_node_rate_limit_pps)

    return MachineChecks(look, rate, others=(lambda: disk_check(folder), *others))


def scanners_by_tool() -> dict[Tool, Scanner]:
    """Every scanner; imported here, so that only a worker loads them."""
    from cloudx.scanners.masscan.scanner import Masscan
    from cloudx.scanners.nmap.scanner import Nmap
    from cloudx.scanners.zmap.scanner import Zmap

    return {scanner.tool: scanner for scanner in (Nmap(), Masscan(), Zmap())}


def _node_identity(settings: Settings) -> NodeIdentity:
    from cloudx.worker.node_agent import NodeIdentity

    role = NodeRole.WORKER if settings.primary_node_url else NodeRole.PRIMARY
    return NodeIdentity(settings.node_name, role, settings.cloudx_version or __version__)


def _reporter(settings: Settings, open_ledger: OpenLedger) -> NodeReporter:
    if settings.primary_node_url is None:
        return LedgerReporter(open_ledger)
    from cloudx.adapters.primary_node import PrimaryNode

    return PrimaryNode(settings.primary_node_url, settings.node_token)

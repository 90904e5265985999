"""The composition root: the only place that wires adapters and scanners into services."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cloudx import __version__
from cloudx.adapters.database import RotatingEngine, engine_for, open_ledger_on, schema_problem, upgrade
from cloudx.adapters.latency import EchoOrConnect
from cloudx.adapters.resolver import SystemResolver
from cloudx.config import AuthMode, Executor, Settings
from cloudx.domain.chunks import RENEW_SECONDS
from cloudx.domain.errors import BadConfiguration, DependencyUnavailable
from cloudx.domain.nodes import Check, NodeRole
from cloudx.domain.tools import Tool
from cloudx.services.authenticate import Authenticate
from cloudx.services.claim_chunk import Claimant, ClaimChunk
from cloudx.services.edit_policy import ensure_first_scope
from cloudx.services.fit_nodes import CountFit, KnownFleet
from cloudx.services.judge_clock import LedgerClock, judge_clock
from cloudx.services.judge_send_rate import judge_send_rate
from cloudx.services.measure_latency import MeasureLatency
from cloudx.services.ports import NodeReporter, OpenLedger, TokenVerifier
from cloudx.services.reconcile_scans import reconcile_scans
from cloudx.services.renew_leases import RenewLeases
from cloudx.services.report_node import LedgerReporter
from cloudx.services.scan_policy import PolicyCache
from cloudx.services.submit_scan import SubmitScan
from cloudx.services.watch_cluster import ClusterWatch
from cloudx.services.watch_fleet import FleetWatch, LedgerFleet

if TYPE_CHECKING:
    from pydantic import SecretStr

    from cloudx.adapters.consul_catalog import ConsulCatalog
    from cloudx.adapters.nomad_nodes import NomadNodes
    from cloudx.api.dependencies import Dependencies
    from cloudx.services.cluster_ports import DatabaseAdmin
    from cloudx.services.drain_node import DrainNode
    from cloudx.services.keep_dispatching import KeepDispatching
    from cloudx.services.roll_out import RollOut
    from cloudx.services.rollout_ports import Checks
    from cloudx.services.scanner_port import Scanner
    from cloudx.services.set_up_identities import SetUpIdentities
    from cloudx.services.view_cluster import ViewCluster
    from cloudx.worker.machine_checks import MachineChecks
    from cloudx.worker.node_agent import NodeAgent, NodeIdentity
    from cloudx.worker.recent_preflight import RecentPreflight
    from cloudx.worker.resident import ResidentWorker

# A local file may be asked more often than a database that a fleet shares: scans start and bars move at once.
LOCAL_IDLE_SECONDS = 0.1
LOCAL_RENEW_SECONDS = 0.5
_LOCAL_CONSUL = "http://127.0.0.1:8500"
_LOCAL_NOMAD = "http://127.0.0.1:4646"
WORKER_PREFLIGHT_SECONDS = 60.0  # it takes 30 ms of a processor that a scanner may need
WORKER_POOL_SIZE = 16  # a connection for each chunk that commits, and for claiming and renewing


def open_ledger_of(settings: Settings, pool_size: int = 5) -> OpenLedger:
    """Transactions on the configured database, by the login it has at that moment."""
    _make_data_folder(settings)
    return open_ledger_on(RotatingEngine(lambda: settings.sqlalchemy_url, pool_size))


def prepare_database(settings: Settings) -> None:
    """Bring the schema up to date and give a fresh install its first scope. Raises DependencyUnavailable."""
    _make_data_folder(settings)
    engine = engine_for(settings.sqlalchemy_url)
    try:
        upgrade(engine)
        ensure_first_scope(open_ledger_on(engine))
    finally:
        engine.dispose()


def api_dependencies(settings: Settings) -> Dependencies:
    """What one API process needs."""
    from cloudx.api.dependencies import Dependencies
    from cloudx.api.json_codec import encode

    open_ledger = open_ledger_of(settings)
    resolver, policies = SystemResolver(), PolicyCache()
    cluster = _cluster_watch(settings)
    known = KnownFleet(cluster.view, settings.cloudx_executor is Executor.NOMAD)
    fleet = FleetWatch(LedgerFleet(open_ledger), encode, cluster=cluster)
    return Dependencies(
        settings=settings,
        open_ledger=open_ledger,
        resolver=resolver,
        submit_scan=SubmitScan(open_ledger, resolver, policies, known, settings.cloudx_chunk_seconds),
        measure_latency=MeasureLatency(open_ledger, resolver, policies, EchoOrConnect()),
        authenticate=_authenticate(settings, open_ledger),
        fleet=fleet,
        dispatching=_dispatching(settings, open_ledger, CountFit(lambda: fleet.current().reading, known)),
    )


def _dispatching(settings: Settings, open_ledger: OpenLedger, count_fit: CountFit) -> KeepDispatching | None:
    if settings.cloudx_executor is not Executor.NOMAD:
        return None
    from cloudx.adapters.database.advisory_turn import AdvisoryTurn
    from cloudx.adapters.nomad_dispatch import NomadScanJobs
    from cloudx.services.dispatch_scans import DispatchScans
    from cloudx.services.keep_dispatching import KeepDispatching

    settings.require_for_dispatching()
    jobs = NomadScanJobs(settings.nomad_addr or _LOCAL_NOMAD, settings.nomads_token)
    return KeepDispatching(
        DispatchScans(open_ledger, jobs, count_fit),
        reconcile=lambda: reconcile_scans(open_ledger),
        turn=AdvisoryTurn(lambda: settings.sqlalchemy_url),
    )


class WorkerStart:
    """A worker on its way up: the machine is looked at while the database is asked."""

    def __init__(self, settings: Settings) -> None:
        from cloudx.adapters.machine import LocalMachine
        from cloudx.worker.recent_preflight import RecentPreflight

        _make_data_folder(settings)
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
        from cloudx.worker.resident import MAX_IDLE_SECONDS, ResidentWorker
        from cloudx.worker.run_chunk import Workshop

        settings, capabilities = self._settings, self._look().capabilities
        open_ledger, policies = open_ledger_on(self._database), PolicyCache()
        claimant = Claimant(
            worker_id=f"{settings.node_name}/{settings.nomad_alloc_id or _process_name()}",
            node_id=settings.node_name,
            capabilities=capabilities,
            node_limit_pps=settings.cloudx_node_rate_limit_pps,
            only_scan=only_scan,
        )
        is_local = settings.uses_own_sqlite
        reports = settings.cloudx_executor is not Executor.NOMAD  # there, an agent reports the machine
        checks = _machine_checks(settings, self._look, LedgerClock(open_ledger), reports)
        return ResidentWorker(
            claimant=claimant,
            claim_chunk=ClaimChunk(open_ledger, policies),
            renew_leases=RenewLeases(open_ledger, policies),
            workshop=Workshop(open_ledger, _scanners(), self._machine, capabilities, runs_folder),
            agent=self._agent(open_ledger, checks) if reports else None,
            is_fit=checks.is_fit,
            max_idle_seconds=LOCAL_IDLE_SECONDS if is_local else MAX_IDLE_SECONDS,
            renew_seconds=LOCAL_RENEW_SECONDS if is_local else RENEW_SECONDS,
        )

    def _agent(self, open_ledger: OpenLedger, checks: MachineChecks) -> NodeAgent:
        from cloudx.worker.node_agent import NodeAgent

        return NodeAgent(_node_identity(self._settings), checks, _reporter(self._settings, open_ledger))


def _process_name() -> str:
    return f"{os.getpid()}-{uuid.uuid4().hex[:8]}"


def node_agent(settings: Settings) -> tuple[NodeAgent, Callable[[], tuple[Check, ...]]]:
    """The agent that reports this machine to the API, and the machine's checks as they are now."""
    from cloudx.adapters.machine import LocalMachine
    from cloudx.adapters.primary_node import PrimaryNode
    from cloudx.worker.node_agent import NodeAgent
    from cloudx.worker.recent_preflight import RecentPreflight

    if settings.primary_node_url is None:
        raise BadConfiguration("PRIMARY_NODE_URL: an agent needs the API's address, such as http://127.0.0.1:9999.")
    primary = PrimaryNode(settings.primary_node_url, settings.node_token)
    look = RecentPreflight(LocalMachine())
    checks = _machine_checks(settings, look, lambda: judge_clock(primary.clock_ahead_seconds))
    agent = NodeAgent(_node_identity(settings), checks, primary)
    return agent, lambda: (*checks().checks, agent.check())


def _machine_checks(
    settings: Settings, look: RecentPreflight, clock: Callable[[], Check], reports: bool = True
) -> MachineChecks:
    from cloudx.adapters.disk_space import disk_check
    from cloudx.adapters.send_rate import SendRate
    from cloudx.worker.machine_checks import MachineChecks

    send_rate, folder = SendRate(settings.cloudx_data_dir.absolute()), settings.cloudx_data_dir
    if reports:
        send_rate.measure_in_background()

    def rate() -> tuple[int | None, Check]:
        return judge_send_rate(send_rate.on(look().interface), settings.cloudx_node_rate_limit_pps)

    return MachineChecks(look, rate, others=(lambda: disk_check(folder), clock))


def cluster_identities(settings: Settings, folder: Path, database: DatabaseAdmin) -> SetUpIdentities:
    """The set-up of a cluster's identities, by the servers' addresses and tokens in the settings."""
    from cloudx.adapters.consul_acl import HttpConsulAcl
    from cloudx.adapters.database.cluster_roles import PostgresRoles
    from cloudx.adapters.nomad_acl import NomadAclClient
    from cloudx.adapters.vault_setup import HvacVaultSetup
    from cloudx.services.cluster_files import read_cluster_files
    from cloudx.services.set_up_identities import SetUpIdentities

    consul = settings.consul_http_addr or _LOCAL_CONSUL
    nomad = settings.nomad_addr or _LOCAL_NOMAD
    vault = settings.vault_addr or "http://127.0.0.1:8200"
    return SetUpIdentities(
        files=read_cluster_files(folder),
        consul=HttpConsulAcl(consul, _plain(settings.consul_http_token)),
        nomad=NomadAclClient(nomad, _plain(settings.nomad_token)),
        vault=HvacVaultSetup(vault, _plain(settings.vault_token)),
        database=PostgresRoles(database.admin_url, database.name),
    )


def rollouts(settings: Settings) -> RollOut:
    """Rolling jobs out and back, by the operator's addresses and tokens."""
    from cloudx.adapters.nomad_jobs import NomadJobs
    from cloudx.services.roll_out import FollowRollout, RollOut

    jobs = NomadJobs(settings.nomad_addr or _LOCAL_NOMAD, settings.nomads_token())
    return RollOut(jobs, FollowRollout(jobs, _checks(settings)))


def drains(settings: Settings) -> DrainNode:
    """Draining machines, by the operator's address and token."""
    from cloudx.adapters.nomad_jobs import NomadMachines
    from cloudx.services.drain_node import DrainNode

    return DrainNode(NomadMachines(settings.nomad_addr or _LOCAL_NOMAD, settings.nomads_token()))


def cluster_view(settings: Settings) -> ViewCluster:
    """What runs in the cluster, by the operator's addresses and tokens."""
    from cloudx.adapters.nomad_jobs import NomadJobs, NomadMachines
    from cloudx.services.view_cluster import ViewCluster

    nomad = (settings.nomad_addr or _LOCAL_NOMAD, settings.nomads_token())
    return ViewCluster(NomadJobs(*nomad), NomadMachines(*nomad), _checks(settings))


def _checks(settings: Settings) -> Checks:
    from cloudx.adapters.consul_checks import ConsulChecks

    return ConsulChecks(settings.consul_http_addr or _LOCAL_CONSUL, settings.consuls_token)


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _cluster_watch(settings: Settings) -> ClusterWatch:
    """Consul and Nomad where they are configured; without them heartbeats alone make the view."""
    return ClusterWatch(consul=_consul_instances(settings), nomad=_nomad_clients(settings))


# Imported only where they are configured: what Consul, Nomad and signatures need takes 29 MB of every process.
def _consul_instances(settings: Settings) -> ConsulCatalog | None:
    if not settings.consul_http_addr:
        return None
    from cloudx.adapters.consul_catalog import ConsulCatalog

    return ConsulCatalog(settings.consul_http_addr, settings.consuls_token)


def _nomad_clients(settings: Settings) -> NomadNodes | None:
    if not settings.nomad_addr:
        return None
    from cloudx.adapters.nomad_nodes import NomadNodes

    return NomadNodes(settings.nomad_addr, settings.nomads_token)


def _authenticate(settings: Settings, open_ledger: OpenLedger) -> Authenticate:
    verifiers = [*_clerk_sessions(settings), *_workload_identities(settings)]
    is_open = settings.cloudx_auth is AuthMode.OPEN
    return Authenticate(open_ledger, settings.admin_token, settings.node_token, verifiers, is_open)


def _clerk_sessions(settings: Settings) -> list[TokenVerifier]:
    if not settings.cloudx_clerk_issuer:
        return []
    from cloudx.adapters.clerk import ClerkSessions

    sessions = ClerkSessions(
        settings.cloudx_clerk_issuer,
        settings.cloudx_clerk_authorized_parties,
        settings.cloudx_clerk_jwt_key,
        settings.cloudx_clerk_default_role,
    )
    return [sessions]


def _workload_identities(settings: Settings) -> list[TokenVerifier]:
    if not settings.cloudx_nomad_jwks_url:
        return []
    from cloudx.adapters.workload_identity import WorkloadIdentities

    return [WorkloadIdentities(settings.cloudx_nomad_jwks_url, _node_of_allocation(settings))]


def import_for_api(settings: Settings) -> None:
    """Load the libraries that the API with these settings will use: once, before the fork, they are shared by all."""
    _cluster_watch(settings)
    _clerk_sessions(settings)
    _workload_identities(settings)


def _node_of_allocation(settings: Settings) -> Callable[[str], str] | None:
    from cloudx.adapters.nomad_allocations import NomadAllocations

    return NomadAllocations(settings.nomad_addr, settings.nomads_token).node_of if settings.nomad_addr else None


def _scanners() -> dict[Tool, Scanner]:
    from cloudx.scanners.masscan import Masscan
    from cloudx.scanners.nmap import Nmap
    from cloudx.scanners.zmap import Zmap

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


def _make_data_folder(settings: Settings) -> None:
    if settings.uses_own_sqlite:
        settings.cloudx_data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

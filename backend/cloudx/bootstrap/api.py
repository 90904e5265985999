"""Wires the services of one API process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from cloudx.adapters.database import open_ledger_on
from cloudx.adapters.machine.host_history import SharedHostHistory
from cloudx.adapters.machine.latency import EchoOrConnect
from cloudx.adapters.machine.resolver import SystemResolver
from cloudx.adapters.machine.shared_query import SharedAnswer, SharedQuery
from cloudx.config import AuthMode, Executor, Settings
from cloudx.services.access.authenticate import Authenticate
from cloudx.services.access.edit_policy import AddExclusion
from cloudx.services.access.excluded_names import CLOCK_SECONDS, RefreshExcludedNames
from cloudx.services.access.names_now import NamesNow
from cloudx.services.access.policy import PolicyCache
from cloudx.services.access.ports import TokenVerifier
from cloudx.services.chunks.reconcile import RECONCILE_SECONDS, reconcile_scans
from cloudx.services.chunks.work_signal import WorkSignal, has_pending_chunks
from cloudx.services.events.feed import LOOK_SECONDS as EVENTS_SECONDS
from cloudx.services.events.feed import EventFeed
from cloudx.services.events.prune import PRUNE_SECONDS as PRUNE_EVENTS_SECONDS
from cloudx.services.events.prune import PruneEvents
from cloudx.services.events.tell_nodes import LOOK_SECONDS as TELL_NODES_SECONDS
from cloudx.services.events.tell_nodes import TellNodes
from cloudx.services.fleet.fit import CountFit, KnownFleet
from cloudx.services.fleet.forget import LOOK_SECONDS, ForgetSilentNodes
from cloudx.services.fleet.latency import MeasureLatency
from cloudx.services.fleet.read_changes import LedgerFleet
from cloudx.services.fleet.readiness import CheckReadiness
from cloudx.services.fleet.sources import ClusterWatch
from cloudx.services.fleet.watch import FleetWatch
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.rounds import Rounds
from cloudx.services.scans.diff import PageDiff
from cloudx.services.scans.find_probes import FindProbes
from cloudx.services.scans.plan import PlanScan
from cloudx.services.scans.prune import PRUNE_SECONDS, PruneLedger
from cloudx.services.scans.submit import SubmitScan
from cloudx.services.schedules.edit_schedules import EditSchedules
from cloudx.services.schedules.keep_hours import LOOK_SECONDS as LOOK_AT_HOURS_SECONDS
from cloudx.services.schedules.keep_hours import KeepHours
from cloudx.services.schedules.run_due import LOOK_SECONDS as LOOK_FOR_TICKS_SECONDS
from cloudx.services.schedules.run_due import RunSchedules
from cloudx.services.search.find import FindFindings
from cloudx.services.search.take_in import TAKE_IN_SECONDS, TakeIn

from .database import engine_of
from .figures import figures_of, figures_turn, rounds_of
from .webhooks import webhooks_of

if TYPE_CHECKING:
    from cloudx.adapters.consul.catalog import ConsulCatalog
    from cloudx.adapters.nomad.nodes import NomadNodes
    from cloudx.api.dependencies import Dependencies
    from cloudx.services.dispatch.loop import KeepDispatching


LISTEN_AGAIN_SECONDS = 1.0  # after the session was lost, or the login has changed


def api_dependencies(settings: Settings) -> Dependencies:
    """The services of one API process."""
    from cloudx.api.dependencies import Dependencies
    from cloudx.api.metrics.process import measured
    from cloudx.api.schemas.schedules import request_of

    engine = engine_of(settings)
    open_ledger = measured(open_ledger_on(engine))
    resolver = SystemResolver()
    policies = PolicyCache(NamesNow(resolver))
    cluster = _cluster_watch(settings)
    known = KnownFleet(cluster.snapshot, settings.cloudx_executor is Executor.NOMAD)
    fleet = FleetWatch(LedgerFleet(open_ledger), cluster=cluster)
    events = EventFeed(open_ledger)
    add_webhook, webhook_rounds = webhooks_of(settings, open_ledger)
    count_fit = CountFit(lambda: fleet.current().reading, known)
    read_state, count_totals = figures_of(open_ledger, fleet, count_fit)
    signal = WorkSignal(lambda: has_pending_chunks(open_ledger))
    submit_scan = SubmitScan(open_ledger, resolver, policies, known, settings.cloudx_chunk_seconds)
    run_schedules = RunSchedules(open_ledger, submit_scan, request_of)
    return Dependencies(
        settings=settings,
        open_ledger=open_ledger,
        add_exclusion=AddExclusion(open_ledger, resolver),
        submit_scan=submit_scan,
        plan_scan=PlanScan(submit_scan),
        edit_schedules=EditSchedules(open_ledger, submit_scan, request_of),
        run_schedules=run_schedules,
        page_diff=PageDiff(open_ledger),
        find_probes=FindProbes(open_ledger, policies),
        find_findings=FindFindings(open_ledger, TakeIn(open_ledger)),
        check_readiness=CheckReadiness(open_ledger, fleet),
        measure_latency=MeasureLatency(open_ledger, resolver, policies, EchoOrConnect()),
        authenticate=_authenticate(settings, open_ledger),
        fleet=fleet,
        host_history=_host_history(),
        rounds=(
            *_rounds(settings, open_ledger, RefreshExcludedNames(open_ledger, resolver, policies)),
            *_listening(settings, signal),
            *webhook_rounds,
            Rounds("events.read", events.read, EVENTS_SECONDS),
            Rounds("events.nodes", TellNodes(open_ledger, fleet.current), TELL_NODES_SECONDS),
            *rounds_of(read_state, count_totals),
            Rounds("schedules", run_schedules, LOOK_FOR_TICKS_SECONDS),
            Rounds("hours", KeepHours(open_ledger, policies), LOOK_AT_HOURS_SECONDS),
        ),
        read_state=read_state,
        count_totals=count_totals,
        connections=engine.connections,
        work_signal=signal,
        events=events,
        add_webhook=add_webhook,
        dispatching=_dispatching(settings, open_ledger, count_fit),
    )


def prepare_for_fork(settings: Settings) -> None:
    """Make what gunicorn's workers share: the machine's history, Consul's and Nomad's answers, and libraries."""
    _host_history()
    figures_turn()
    _cluster_watch(settings)
    _clerk_sessions(settings)
    _workload_identities(settings)


@cache
def _host_history() -> SharedHostHistory:
    """One for this process and all that it forks: there is one machine."""
    return SharedHostHistory()


def _dispatching(settings: Settings, open_ledger: OpenLedger, count_fit: CountFit) -> KeepDispatching | None:
    if settings.cloudx_executor is not Executor.NOMAD:
        return None
    from cloudx.adapters.database.leader_lock import PostgresLeaderLock
    from cloudx.adapters.nomad.scan_jobs import NomadScanJobs
    from cloudx.services.dispatch.loop import KeepDispatching
    from cloudx.services.dispatch.step import DispatchScans

    settings.require_for_dispatching()
    jobs = NomadScanJobs(str(settings.nomad_addr), settings.nomads_token)
    return KeepDispatching(
        DispatchScans(open_ledger, jobs, count_fit),
        reconcile=lambda: reconcile_scans(open_ledger),
        leader_lock=PostgresLeaderLock(lambda: settings.sqlalchemy_url),
    )


def _rounds(settings: Settings, open_ledger: OpenLedger, refresh_names: RefreshExcludedNames) -> tuple[Rounds, ...]:
    forget = ForgetSilentNodes(open_ledger, settings.cloudx_forget_node_hours * 3600)
    rounds = [
        Rounds("names.refresh", refresh_names, CLOCK_SECONDS / 4),  # several processes share the names that are due
        Rounds("nodes.forget", forget, LOOK_SECONDS),
        Rounds("events.prune", PruneEvents(open_ledger), PRUNE_EVENTS_SECONDS),
    ]
    if not settings.retention.keeps_everything:
        rounds.append(Rounds("prune", PruneLedger(open_ledger, settings.retention), PRUNE_SECONDS))
    # Not on SQLite, where the worker does it: waiting for its write lock would stop a process's event loop.
    if not settings.uses_sqlite:
        rounds.append(Rounds("findings.take_in", TakeIn(open_ledger), TAKE_IN_SECONDS))
    if settings.cloudx_executor is not Executor.NOMAD and not settings.uses_sqlite:
        rounds.append(Rounds("reconcile", lambda: reconcile_scans(open_ledger), RECONCILE_SECONDS))
    return tuple(rounds)


def _listening(settings: Settings, signal: WorkSignal) -> tuple[Rounds, ...]:
    """On a server's notices; a SQLite file tells of nothing, and its worker looks for itself."""
    if settings.uses_sqlite:
        return ()
    from cloudx.adapters.database.work_notices import listen_for_work

    listen = partial(listen_for_work, lambda: settings.sqlalchemy_url, signal.notify)
    return (Rounds("work.notices", listen, LISTEN_AGAIN_SECONDS),)


def _cluster_watch(settings: Settings) -> ClusterWatch:
    """Consul and Nomad where they are configured; without them heartbeats alone make the fleet."""
    consul, nomad = _consul_instances(settings), _nomad_clients(settings)
    return ClusterWatch(
        consul=SharedQuery(consul, _shared_answer("consul")) if consul else None,
        nomad=SharedQuery(nomad, _shared_answer("nomad")) if nomad else None,
    )


@cache
def _shared_answer(name: str) -> SharedAnswer:
    """One for this process and all that it forks: one of them asks for all."""
    return SharedAnswer(name)


# Imported only where they are configured: the libraries for Consul, Nomad and signatures take 29 MB of every process.
def _consul_instances(settings: Settings) -> ConsulCatalog | None:
    if not settings.consul_http_addr:
        return None
    from cloudx.adapters.consul.catalog import ConsulCatalog

    return ConsulCatalog(settings.consul_http_addr, settings.consuls_token)


def _nomad_clients(settings: Settings) -> NomadNodes | None:
    if not settings.nomad_addr:
        return None
    from cloudx.adapters.nomad.nodes import NomadNodes

    return NomadNodes(settings.nomad_addr, settings.nomads_token)


def _authenticate(settings: Settings, open_ledger: OpenLedger) -> Authenticate:
    verifiers = [*_clerk_sessions(settings), *_workload_identities(settings)]
    is_open = settings.cloudx_auth is AuthMode.OPEN
    return Authenticate(open_ledger, settings.admin_token, settings.node_token, verifiers, is_open)


def _clerk_sessions(settings: Settings) -> list[TokenVerifier]:
    if not settings.cloudx_clerk_issuer:
        return []
    from cloudx.adapters.identity.clerk import ClerkSessions

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
    from cloudx.adapters.identity.workload_identity import AcceptedJobs, WorkloadIdentities

    accepted = AcceptedJobs(
        settings.cloudx_nomad_node_jobs, settings.cloudx_nomad_namespace, settings.cloudx_nomad_audience
    )
    return [WorkloadIdentities(settings.cloudx_nomad_jwks_url, _node_of_allocation(settings), accepted)]


def _node_of_allocation(settings: Settings) -> Callable[[str], str] | None:
    from cloudx.adapters.nomad.allocations import NomadAllocations

    return NomadAllocations(settings.nomad_addr, settings.nomads_token).node_of if settings.nomad_addr else None

"""Wires the use cases of an operator: set-up, rollout, drain, status."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cloudx.config import Settings

if TYPE_CHECKING:
    from pydantic import SecretStr

    from .admit import AdmitMachine
    from .drain import DrainNode
    from .identities import SetUpIdentities
    from .identity_ports import DatabaseAdmin
    from .nomad_ports import Checks
    from .rollout import RollOut
    from .status import ReadClusterStatus

_LOCAL_CONSUL = "http://127.0.0.1:8500"
_LOCAL_NOMAD = "http://127.0.0.1:4646"


def cluster_identities(settings: Settings, folder: Path, database: DatabaseAdmin) -> SetUpIdentities:
    """Build the set-up of a cluster's identities from the servers' addresses and tokens in the settings."""
    from cloudx.cluster.adapters.consul_acl import HttpConsulAcl
    from cloudx.cluster.adapters.nomad_acl import NomadAclClient
    from cloudx.cluster.adapters.postgres_roles import PostgresRoles
    from cloudx.cluster.adapters.vault import HvacVaultSetup

    from .files import read_cluster_files
    from .identities import SetUpIdentities

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


def admissions(settings: Settings, folder: Path) -> AdmitMachine:
    """Build the admission of machines to Consul from the operator's address and token."""
    from cloudx.cluster.adapters.consul_acl import HttpConsulAcl

    from .admit import AdmitMachine
    from .files import read_cluster_files

    consul = settings.consul_http_addr or _LOCAL_CONSUL
    return AdmitMachine(read_cluster_files(folder), HttpConsulAcl(consul, _plain(settings.consul_http_token)))


def rollouts(settings: Settings) -> RollOut:
    """Build the rollout of jobs from the operator's addresses and tokens."""
    from cloudx.cluster.adapters.nomad_jobs import NomadJobs

    from .rollout import FollowRollout, RollOut

    jobs = NomadJobs(settings.nomad_addr or _LOCAL_NOMAD, settings.nomads_token())
    return RollOut(jobs, FollowRollout(jobs, _checks(settings)))


def drains(settings: Settings) -> DrainNode:
    """Build the drain of machines from the operator's address and token."""
    from cloudx.cluster.adapters.nomad_jobs import NomadMachines

    from .drain import DrainNode

    return DrainNode(NomadMachines(settings.nomad_addr or _LOCAL_NOMAD, settings.nomads_token()))


def cluster_status(settings: Settings) -> ReadClusterStatus:
    """Build the status of the cluster from the operator's addresses and tokens."""
    from cloudx.cluster.adapters.nomad_jobs import NomadJobs, NomadMachines

    from .status import ReadClusterStatus

    nomad = (settings.nomad_addr or _LOCAL_NOMAD, settings.nomads_token())
    return ReadClusterStatus(NomadJobs(*nomad), NomadMachines(*nomad), _checks(settings))


def _checks(settings: Settings) -> Checks:
    from cloudx.cluster.adapters.consul_checks import ConsulChecks

    return ConsulChecks(settings.consul_http_addr or _LOCAL_CONSUL, settings.consuls_token)


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None

"""Set up the rights in the cluster: each task's workload identity gets the least that the task needs."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from cloudx.domain.nodes import CONTROL_POOL

from .files import ClusterFiles
from .identity_ports import BindingRule, ConsulAcl, DatabaseLogin, DatabaseRoles, NomadAcl, VaultSetup

CONSUL_METHOD = "nomad-workloads"  # Nomad's clients log in by this method unless configured otherwise
CONSUL_AUDIENCE = "consul.io"
VAULT_MOUNT = "jwt-nomad"  # as above, for Vault
VAULT_LOGIN = "cloudx_vault"
CONNECTION = "cloudx"
API_SECRET = "cloudx/api"  # noqa: S105 - a path
_CLAIMS = ("nomad_namespace", "nomad_job_id", "nomad_task")


@dataclass(frozen=True)
class ClusterPlan:
    """What differs between clusters. A TTL of None keeps that of vault/database/."""

    jwks_url: str
    database_address: str  # host:port/database, as Vault reaches it
    namespace: str = "default"
    vault_plugin: str | None = None
    login_ttl: str | None = None
    login_max_ttl: str | None = None
    admin_token: str | None = None


@dataclass(frozen=True)
class SetUpIdentities:
    """The use case of `cloudx cluster set-up`."""

    files: ClusterFiles
    consul: ConsulAcl
    nomad: NomadAcl
    vault: VaultSetup
    database: DatabaseRoles

    def run(self, plan: ClusterPlan) -> None:
        """Make or correct every policy, role and login; safe to run again. Raises ClusterUnavailable."""
        self._nomad(plan)
        self._consul(plan)
        self._vault(plan)
        self._vault_database(plan)

    def admin_token(self) -> str:
        """The install's own admin token, which the backend's tasks get from Vault."""
        return self.vault.read_secret(API_SECRET)["admin_token"]

    def _nomad(self, plan: ClusterPlan) -> None:
        for job, rules in self.files.nomad_job_policies.items():
            self.nomad.put_job_policy(f"cloudx-{job}", rules, plan.namespace, job)
        self.nomad.put_node_pool(CONTROL_POOL, "Cloud-X: machines that run the API, Fabio and PostgreSQL, and no scan.")

    def _consul(self, plan: ClusterPlan) -> None:
        for job, rules in self.files.consul_job_policies.items():
            self.consul.put_policy(f"cloudx-{job}", rules)
            self.consul.put_role(f"nomad-{plan.namespace}-{job}", (f"cloudx-{job}",))
        self.consul.put_jwt_method(CONSUL_METHOD, plan.jwks_url, CONSUL_AUDIENCE, _CLAIMS)
        self.consul.keep_binding_rules(
            CONSUL_METHOD, consul_binding_rules(plan.namespace, tuple(self.files.consul_job_policies))
        )

    def _vault(self, plan: ClusterPlan) -> None:
        for name, rules in self.files.vault_policies.items():
            self.vault.put_policy(name, rules)
        self.vault.put_jwt_login(VAULT_MOUNT, plan.jwks_url)
        for name, body in self.files.vault_roles.items():
            claims = {**body["bound_claims"], "nomad_namespace": plan.namespace}
            self.vault.put_jwt_role(VAULT_MOUNT, name, {**body, "bound_claims": claims})
        token = plan.admin_token or f"cx_{secrets.token_urlsafe(32)}"
        self.vault.keep_secret(API_SECRET, {"admin_token": token})

    def _vault_database(self, plan: ClusterPlan) -> None:
        if plan.vault_plugin:
            self.vault.offer_database_plugin(plan.vault_plugin)
        if not self.vault.has_connection(CONNECTION, plan.database_address):
            login = DatabaseLogin(VAULT_LOGIN, secrets.token_urlsafe(32))
            self.database.prepare(login)
            self.vault.put_connection(CONNECTION, plan.database_address, login, tuple(self.files.vault_database))
        for name, body in self.files.vault_database.items():
            self.vault.put_database_role(name, with_ttls(body, plan.login_ttl, plan.login_max_ttl))


def consul_binding_rules(namespace: str, jobs: tuple[str, ...]) -> tuple[BindingRule, ...]:
    """A job's main task, which has the job's name, gets the role of the job. No identity may register a service.

    Nomad's agents register services by their own tokens, which say what their machine may run (consul/policies).
    """
    return tuple(BindingRule(_only_task(namespace, job), "role", f"nomad-{namespace}-{job}") for job in jobs)


def _only_task(namespace: str, job: str) -> str:
    wanted = {"nomad_namespace": namespace, "nomad_job_id": job, "nomad_task": job}
    return " and ".join(f'value.{claim} == "{value}"' for claim, value in wanted.items())


def with_ttls(body: dict[str, Any], ttl: str | None, max_ttl: str | None) -> dict[str, Any]:
    """A database role with the given lifetimes in place of its own."""
    changed = {"default_ttl": ttl, "max_ttl": max_ttl}
    return {**body, **{name: value for name, value in changed.items() if value}}

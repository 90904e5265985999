"""What setting up the cluster's identities needs from Consul, Nomad, Vault and PostgreSQL, as Protocols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class DatabaseLogin:
    """The login by which Vault makes the others. `password` is known to Vault alone once it was rotated."""

    user: str
    password: str


@dataclass(frozen=True)
class DatabaseAdmin:
    """Who may make roles in PostgreSQL: a superuser's libpq URL without a database, and the database to make."""

    admin_url: str
    name: str


class ConsulAcl(Protocol):
    """Consul's access control; every `put_` makes or changes, so it can run again. All raise ClusterUnavailable."""

    def put_policy(self, name: str, rules: str) -> None:
        """A policy in Consul's HCL."""

    def put_role(self, name: str, policies: tuple[str, ...]) -> None:
        """A role that holds policies."""

    def put_token(self, secret: str, description: str, policies: tuple[str, ...]) -> None:
        """A token whose secret the caller chose (a UUID)."""

    def put_jwt_method(self, name: str, jwks_url: str, audience: str, claims: tuple[str, ...]) -> None:
        """A way to log in with tokens signed by those keys."""

    def keep_binding_rules(self, method: str, rules: tuple[BindingRule, ...]) -> None:
        """These rules and no others for a login method."""


@dataclass(frozen=True)
class BindingRule:
    """Who logs in (`selector` over its claims) becomes what."""

    selector: str
    kind: str
    name: str


class NomadAcl(Protocol):
    """Nomad's access control. All raise ClusterUnavailable."""

    def bootstrap(self, secret: str) -> None:
        """Make the first management token with a secret the caller chose (a UUID); nothing when there is one."""

    def put_job_policy(self, name: str, rules: str, namespace: str, job_id: str) -> None:
        """A policy held by the workload identities of one job."""


class VaultSetup(Protocol):
    """Vault's policies, logins and engines. All raise ClusterUnavailable."""

    def put_policy(self, name: str, rules: str) -> None:
        """A policy in Vault's HCL."""

    def put_jwt_login(self, mount: str, jwks_url: str) -> None:
        """A way to log in with tokens signed by those keys."""

    def put_jwt_role(self, mount: str, name: str, body: dict[str, Any]) -> None:
        """Which token becomes which policies."""

    def has_connection(self, name: str, address: str) -> bool:
        """True where the database engine already holds a login to that `host:port/database`."""

    def put_connection(self, name: str, address: str, login: DatabaseLogin, roles: tuple[str, ...]) -> None:
        """Hand the database engine its login, and let it change the password to one that nobody else knows."""

    def put_database_role(self, name: str, body: dict[str, Any]) -> None:
        """How the engine makes one kind of login."""

    def keep_secret(self, path: str, values: dict[str, str]) -> None:
        """Store a secret where there is none; one that is there stays."""

    def read_secret(self, path: str) -> dict[str, str]:
        """What is stored there; empty where nothing is."""

    def offer_database_plugin(self, file: str) -> None:
        """Register PostgreSQL's plugin (a file in Vault's plugin folder) where this Vault has none built in."""


class DatabaseRoles(Protocol):
    """The roles that outlive every login. Raises ClusterUnavailable."""

    def prepare(self, login: DatabaseLogin) -> None:
        """Make the database, its owner and group roles, and Vault's login, as far as they are missing."""

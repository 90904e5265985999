"""What setting up the cluster's identities needs from Consul, Nomad, Vault and PostgreSQL, as Protocols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class DatabaseLogin:
    """The login by which Vault makes the others. Vault rotates `password`, and then is alone to know it."""

    user: str
    password: str


@dataclass(frozen=True)
class DatabaseAdmin:
    """A superuser's libpq URL without a database, and the name of the database to make."""

    admin_url: str
    name: str


class ConsulAcl(Protocol):
    """Consul's access control. Each `put_` creates or updates: safe to repeat. All raise ClusterUnavailable."""

    def put_policy(self, name: str, rules: str) -> None:
        """Put a policy; `rules` are Consul's HCL."""

    def put_role(self, name: str, policies: tuple[str, ...]) -> None:
        """Put a role that holds these policies."""

    def put_token(self, secret: str, description: str, policies: tuple[str, ...]) -> None:
        """Put a token whose secret, a UUID, the caller chose; it replaces a token of the same description."""

    def put_jwt_method(self, name: str, jwks_url: str, audience: str, claims: tuple[str, ...]) -> None:
        """Put a login method for tokens (JWT) that the keys at `jwks_url` signed for `audience`."""

    def keep_binding_rules(self, method: str, rules: tuple[BindingRule, ...]) -> None:
        """Give a login method these rules and no others; no login fails meanwhile."""


@dataclass(frozen=True)
class BindingRule:
    """A login whose claims match `selector` becomes `name`, which is a `kind` (service or role)."""

    selector: str
    kind: str
    name: str


class NomadAcl(Protocol):
    """Nomad's access control. All raise ClusterUnavailable."""

    def bootstrap(self, secret: str) -> None:
        """Make the first management token, whose secret, a UUID, the caller chose; does nothing if there is one."""

    def put_job_policy(self, name: str, rules: str, namespace: str, job_id: str) -> None:
        """Put a policy for the workload identities of a job; `rules` are Nomad's HCL."""

    def put_node_pool(self, name: str, description: str) -> None:
        """Put a pool of machines, to which jobs may be restricted."""


class VaultSetup(Protocol):
    """Vault's policies, logins and engines. Each `put_` creates or updates. All raise ClusterUnavailable."""

    def put_policy(self, name: str, rules: str) -> None:
        """Put a policy; `rules` are Vault's HCL."""

    def put_jwt_login(self, mount: str, jwks_url: str) -> None:
        """Mount a login method for tokens (JWT) that the keys at `jwks_url` signed."""

    def put_jwt_role(self, mount: str, name: str, body: dict[str, Any]) -> None:
        """Put a role of a login method; `body` is Vault's own (auth/jwt/role)."""

    def has_connection(self, name: str, address: str) -> bool:
        """True if the database engine already holds a login to `address` (host:port/database)."""

    def put_connection(self, name: str, address: str, login: DatabaseLogin, roles: tuple[str, ...]) -> None:
        """Give the database engine its login, and let it rotate the password so that no one else knows it."""

    def put_database_role(self, name: str, body: dict[str, Any]) -> None:
        """Put a kind of login that the engine makes; `body` is Vault's own (database/roles)."""

    def keep_secret(self, path: str, values: dict[str, str]) -> None:
        """Store a secret; does nothing if there is one at this path."""

    def read_secret(self, path: str) -> dict[str, str]:
        """The newest version of a secret; empty if there is none."""

    def offer_database_plugin(self, file: str) -> None:
        """Register PostgreSQL's plugin, a file in Vault's plugin folder, if this Vault has none."""


class DatabaseRoles(Protocol):
    """PostgreSQL's roles that outlive every login. Raises ClusterUnavailable."""

    def prepare(self, login: DatabaseLogin) -> None:
        """Make the database, its owner and group roles and Vault's login, if missing; the login gets this password."""

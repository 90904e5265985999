"""The settings: the only reader of the environment. docs/operations.md lists every name."""

from __future__ import annotations

import difflib
import os
import socket
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from cloudx.domain.access import Role
from cloudx.domain.errors import BadConfiguration, DependencyUnavailable
from cloudx.domain.retention import Retention
from cloudx.domain.webhooks.reachable import allowed_networks
from cloudx.urls import is_database_url, is_loopback, is_redis_url, is_web_url, why_no_origin


class AuthMode(StrEnum):
    """Whether requests need a credential."""

    TOKEN = "token"  # noqa: S105 - a mode, no secret
    OPEN = "open"


class Executor(StrEnum):
    """Who runs scans."""

    RESIDENT = "resident"
    NOMAD = "nomad"


def _comma_list(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_comma_list)]


class Settings(BaseModel):
    """Every setting, by the name of its environment variable in lower case.

    A plain model: pydantic-settings costs each process 6 MB and 50 ms, and `load_settings` is all we need of it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    database_url: str = ""
    database_url_file: Path | None = None
    port: int = Field(5001, ge=1, le=65535)
    node_id: str = Field("", pattern=r"^[A-Za-z0-9._:-]{0,128}$")
    primary_node_url: str | None = Field(None, pattern=r"^https?://[^\s]+$")
    flask_debug: bool = False
    web_concurrency: int = Field(2, ge=1, le=64)
    nomad_addr: str | None = None
    nomad_alloc_id: str = Field("", pattern=r"^[0-9a-f-]{0,36}$")  # set by Nomad in what it runs
    nomad_token: SecretStr | None = None
    nomad_token_file: Path | None = None
    consul_http_addr: str | None = None
    consul_http_token: SecretStr | None = None
    consul_http_token_file: Path | None = None
    vault_addr: str | None = None
    vault_token: SecretStr | None = None

    cloudx_data_dir: Path = Path("data")
    cloudx_bind: str = "127.0.0.1"
    cloudx_auth: AuthMode = AuthMode.TOKEN
    cloudx_admin_token: SecretStr | None = None
    cloudx_admin_token_file: Path | None = None
    cloudx_node_token: SecretStr | None = None
    cloudx_node_token_file: Path | None = None
    cloudx_clerk_issuer: str | None = Field(None, pattern=r"^https?://[^\s]+$")
    cloudx_clerk_authorized_parties: CommaList = ()
    cloudx_clerk_jwt_key: str | None = None
    cloudx_clerk_default_role: Role = Role.VIEWER
    cloudx_nomad_jwks_url: str | None = Field(None, pattern=r"^https?://[^\s]+$")
    cloudx_nomad_node_jobs: CommaList = ("node",)
    cloudx_nomad_namespace: str = Field("default", pattern=r"^[A-Za-z0-9-]{1,128}$")
    cloudx_nomad_audience: str = Field("cloudx", pattern=r"^[^\s,]{1,128}$")
    cloudx_cors_origins: CommaList = ()
    cloudx_webhook_networks: Annotated[CommaList, AfterValidator(allowed_networks)] = ()
    cloudx_executor: Executor = Executor.RESIDENT
    cloudx_scripts_dir: Path | None = None
    cloudx_redis_url: str | None = None
    cloudx_chunk_seconds: float = Field(15.0, ge=0.5, le=600)
    cloudx_node_rate_limit_pps: int = Field(100_000, ge=1, le=10_000_000)
    cloudx_keep_scans_days: float | None = Field(None, ge=1, le=36_500)
    cloudx_keep_audit_days: float | None = Field(None, ge=1, le=36_500)
    cloudx_max_nodes: int = Field(5_000, ge=1, le=100_000)
    cloudx_forget_node_hours: float = Field(168, ge=0.1, le=87_600)
    cloudx_version: str = Field("", pattern=r"^[A-Za-z0-9._+-]{0,64}$")
    cloudx_log_format: str = Field("auto", pattern="^(auto|json|pretty)$")
    cloudx_metrics: str = Field("open", pattern="^(open|token)$")
    cloudx_url: str | None = Field(None, pattern=r"^https?://[^\s]+$")
    cloudx_token: SecretStr | None = None

    @field_validator("cloudx_clerk_default_role")
    @classmethod
    def _people_only(cls, role: Role) -> Role:
        if role is Role.NODE:
            raise ValueError("takes viewer, operator or admin")
        return role

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if not is_database_url(url):
            raise ValueError("takes postgresql://USER:PASSWORD@HOST:PORT/NAME or sqlite:///FILE")
        return url

    @field_validator("cloudx_cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if problem := why_no_origin(origin):
                raise ValueError(f"{origin[:80]!r} is no origin: {problem}")
        return origins

    @field_validator("cloudx_url", "primary_node_url")
    @classmethod
    def _one_address(cls, url: str) -> str:
        if not is_web_url(url):
            raise ValueError("takes http://HOST:PORT or https://HOST:PORT")
        return url

    @field_validator("cloudx_redis_url")
    @classmethod
    def _one_redis(cls, url: str) -> str:
        if not is_redis_url(url):
            raise ValueError("takes redis://[:PASSWORD@]HOST[:PORT][/NUMBER], or rediss:// for TLS")
        return url

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> Settings:
        if self.cloudx_auth is AuthMode.OPEN and not is_loopback(self.cloudx_bind):
            raise ValueError(
                "CLOUDX_AUTH: open lets anybody scan, so it needs CLOUDX_BIND on loopback (127.0.0.1); "
                f"it is {self.cloudx_bind}. Use token, or bind to 127.0.0.1."
            )
        return self

    @property
    def sqlalchemy_url(self) -> str:
        """The URL of the database with its driver named; SQLite in the data folder by default.

        DATABASE_URL_FILE wins and is read again when it changes. Raises DependencyUnavailable if the file is missing.
        """
        url = self._database_url() or f"sqlite:///{self.cloudx_data_dir.absolute()}/cloudx.db"
        for plain in ("postgres://", "postgresql://"):
            if url.startswith(plain):
                return "postgresql+psycopg2://" + url.removeprefix(plain)
        return url

    def _database_url(self) -> str:
        if self.database_url_file is None:
            return self.database_url
        url = _read_if_changed(self.database_url_file)
        if url is None:
            raise DependencyUnavailable(
                f"There is no database URL in {self.database_url_file} yet. Nomad renders it from Vault: see whether "
                "Vault is unsealed and gives this task its login, or set DATABASE_URL."
            )
        return url

    @property
    def uses_own_sqlite(self) -> bool:
        """True if the database is the file in the data folder."""
        return not self.database_url and self.database_url_file is None

    @property
    def retention(self) -> Retention:
        """How long things are kept."""
        return Retention(self.cloudx_keep_scans_days, self.cloudx_keep_audit_days)

    @property
    def uses_sqlite(self) -> bool:
        """True if the database is a file, and not a server."""
        return self.database_url_file is None and self.sqlalchemy_url.startswith("sqlite")

    def require_for_dispatching(self) -> None:
        """Stop an API that could not dispatch. Raises BadConfiguration."""
        if self.cloudx_executor is not Executor.NOMAD:
            return
        is_from_file = self.database_url_file is not None  # it may come later than we do
        if not is_from_file and not self.sqlalchemy_url.startswith("postgresql"):
            raise BadConfiguration(
                "CLOUDX_EXECUTOR: nomad needs PostgreSQL, which every worker of the fleet reaches. Set "
                "DATABASE_URL=postgresql://…, or CLOUDX_EXECUTOR=resident."
            )
        if not self.nomad_addr:
            raise BadConfiguration(
                "CLOUDX_EXECUTOR: nomad needs NOMAD_ADDR, such as http://127.0.0.1:4646. Set it, or "
                "CLOUDX_EXECUTOR=resident."
            )

    @property
    def own_url(self) -> str:
        """The URL of this install's API, as seen from this machine."""
        host = "127.0.0.1" if self.cloudx_bind in ("0.0.0.0", "::") else self.cloudx_bind  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def node_name(self) -> str:
        """NODE_ID, else the host name."""
        return self.node_id or socket.gethostname()

    @property
    def has_admin_token(self) -> bool:
        """True if an admin token is configured, even if its file does not exist yet."""
        return self.cloudx_admin_token is not None or self.cloudx_admin_token_file is not None

    def admin_token(self) -> str | None:
        """The configured admin token; a file is read again when it changes."""
        return _secret(self.cloudx_admin_token, self.cloudx_admin_token_file)

    def node_token(self) -> str | None:
        """The configured node token; a file is read again when it changes."""
        return _secret(self.cloudx_node_token, self.cloudx_node_token_file)

    def nomads_token(self) -> str | None:
        """The token for Nomad's API; a file is read again when it changes."""
        return _secret(self.nomad_token, self.nomad_token_file)

    def consuls_token(self) -> str | None:
        """The token for Consul's API; a file is read again when it changes."""
        return _secret(self.consul_http_token, self.consul_http_token_file)


_FILES: dict[Path, tuple[float, int, str]] = {}


def _secret(value: SecretStr | None, file: Path | None) -> str | None:
    if file is not None:
        return _read_if_changed(file)
    return value.get_secret_value() if value else None


def _read_if_changed(file: Path) -> str | None:
    """The stripped text of a small file, cached until its time or inode moves; None while it is missing."""
    try:
        stat = file.stat()
        known = _FILES.get(file)
        if known is None or known[:2] != (stat.st_mtime, stat.st_ino):
            known = _FILES[file] = (stat.st_mtime, stat.st_ino, file.read_text().strip())
        return known[2] or None
    except OSError:
        return None


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check every setting. Raises BadConfiguration: a line that names the setting and what it takes."""
    environ = os.environ if environ is None else environ
    _refuse_unknown(environ)
    values = {name: environ[name.upper()] for name in Settings.model_fields if environ.get(name.upper())}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise BadConfiguration(_one_line(error)) from None


def nomad_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of job files that a shell sets, by name, as Nomad's own command takes them (NOMAD_VAR_…)."""
    environ = os.environ if environ is None else environ
    prefix = "NOMAD_VAR_"
    return {name.removeprefix(prefix): value for name, value in environ.items() if name.startswith(prefix)}


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = [name.upper() for name in Settings.model_fields if name.startswith("cloudx_")]
    for name in environ:
        if name.startswith("CLOUDX_") and name not in known:
            endings = [other.removeprefix("CLOUDX_") for other in known]  # the prefix alone would count as alike
            close = difflib.get_close_matches(name.removeprefix("CLOUDX_"), endings, 1)
            hint = f" Did you mean CLOUDX_{close[0]}?" if close else f" Known: {', '.join(sorted(known))}."
            raise BadConfiguration(f"{name}: there is no such setting.{hint}")


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    problem = first["msg"].removeprefix("Value error, ")
    field = ".".join(str(part) for part in first["loc"]).upper()
    if not field:
        return problem
    expected = first.get("ctx", {}).get("pattern")
    return f"{field}: {problem}" + (f" (pattern {expected})" if expected and str(expected) not in problem else "")

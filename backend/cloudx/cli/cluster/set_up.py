"""The command that gives a cluster its identities: policies, roles and logins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cloudx.config import load_settings
from cloudx.domain.errors import BadConfiguration

cluster = typer.Typer(help="The cluster of Nomad, Consul and Vault.", no_args_is_help=True)

_FOLDER = typer.Option(help="The checkout whose consul/, nomad/ and vault/ are set up.")
_ADMIN = typer.Option(help="A file with a superuser's URL, postgresql://user:password@host:port (no database).")
_DATABASE = typer.Option(help="host:port/database, as Vault reaches PostgreSQL.")
_JWKS = typer.Option(help="Where Consul and Vault read Nomad's keys; NOMAD_ADDR's own by default.")
_PLUGIN = typer.Option(help="PostgreSQL's plugin, in Vault's plugin folder; only for a Vault without it built in.")


@cluster.command("set-up")
def set_up(
    database: Annotated[str, _DATABASE],
    database_admin_file: Annotated[Path, _ADMIN],
    folder: Annotated[Path, _FOLDER] = Path(),
    jwks_url: Annotated[str | None, _JWKS] = None,
    vault_plugin: Annotated[str | None, _PLUGIN] = None,
    login_ttl: Annotated[str | None, typer.Option(help="Lifetime of database logins, as 1h.")] = None,
    login_max_ttl: Annotated[str | None, typer.Option(help="How long a login can be renewed.")] = None,
) -> None:
    """Make or correct every policy, role and login of the cluster; safe to run again.

    Needs administrators' NOMAD_TOKEN, CONSUL_HTTP_TOKEN and VAULT_TOKEN, and each server's …_ADDR.

    Example: cloudx cluster set-up --database db.internal:5432/cloudx --database-admin-file /root/postgres-url
    """
    from cloudx.cluster.bootstrap import cluster_identities
    from cloudx.cluster.identities import ClusterPlan
    from cloudx.cluster.identity_ports import DatabaseAdmin

    settings = load_settings()
    nomad = (settings.nomad_addr or "http://127.0.0.1:4646").rstrip("/")
    admin = DatabaseAdmin(_read(database_admin_file), database.partition("/")[2])
    plan = ClusterPlan(
        jwks_url=jwks_url or f"{nomad}/.well-known/jwks.json",
        database_address=database,
        vault_plugin=vault_plugin,
        login_ttl=login_ttl,
        login_max_ttl=login_max_ttl,
    )
    cluster_identities(settings, folder, admin).run(plan)
    typer.echo("The cluster's identities are set up.")


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise BadConfiguration(f"{file} cannot be read ({error.strerror}). Name a file that holds the URL.") from None

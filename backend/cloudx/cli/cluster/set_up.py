"""The command that gives a cluster its identities: policies, roles and logins."""

from __future__ import annotations

import json
from dataclasses import asdict
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

_CONTROL = "It runs the API, Fabio or PostgreSQL, and no scan."


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


@cluster.command("admit")
def admit(
    name: Annotated[
        str, typer.Argument(help="The machine's name in Consul: node_name of its agent, or its host name.")
    ],
    control: Annotated[bool, typer.Option("--control", help=_CONTROL)] = False,
    folder: Annotated[Path, _FOLDER] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Give a machine's Consul and Nomad agents tokens of their own; those they had before end.

    Each token speaks for that machine alone, so a stolen VPS cannot speak for another. They are shown this once.
    Needs an administrator's CONSUL_HTTP_TOKEN, and CONSUL_HTTP_ADDR.

    Example: cloudx cluster admit vps7
    """
    from cloudx.cluster.admit import MachineKind
    from cloudx.cluster.bootstrap import admissions

    kind = MachineKind.CONTROL if control else MachineKind.VPS
    tokens = admissions(load_settings(), folder).run(name, kind)
    if as_json:
        typer.echo(json.dumps({"name": name, "kind": kind, **asdict(tokens)}))
        return
    typer.echo(f'acl {{ tokens {{ agent = "{tokens.consul_agent}" }} }}  # beside consul/client.hcl, mode 0600')
    typer.echo(f'consul {{ token = "{tokens.nomad_agent}" }}  # beside nomad/client.hcl, mode 0600')


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise BadConfiguration(f"{file} cannot be read ({error.strerror}). Name a file that holds the URL.") from None

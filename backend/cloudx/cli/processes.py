"""The commands that run for long: up, serve, worker, agent; and db upgrade, which up and serve include."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import Annotated, NamedTuple

import typer

from cloudx.config import AuthMode, Settings, load_settings
from cloudx.domain.errors import BadConfiguration, CloudxError, DependencyUnavailable
from cloudx.processes.exits import exit_with_error
from cloudx.processes.first_start import ensure_admin_token, require_private, write_cli_file
from cloudx.processes.locks import claim_data_folder, require_free_port
from cloudx.processes.startup import read_settings, wait_until
from cloudx.processes.supervise import COMMANDS, OWN_PYTHON, token_line

db = typer.Typer(help="The database's schema.", no_args_is_help=True)


def up() -> None:
    """Run the whole product on this machine: the API and one worker, until Ctrl-C.

    Example: PORT=5002 cloudx up
    """
    settings = _api_settings()
    claim_data_folder(settings.cloudx_data_dir)
    require_free_port(settings.cloudx_bind, settings.port)
    _prepare(settings)
    environment, token = _with_admin_token(settings)
    write_cli_file(settings.cloudx_data_dir, settings.own_url, load_settings(environment).admin_token())
    supervise = [*OWN_PYTHON, "-m", "cloudx.processes.supervise", str(settings.cloudx_data_dir), token.source]
    supervise += ["--new-token"] if token.is_new else []
    os.execve(supervise[0], supervise, environment)  # noqa: S606 - a fixed list; the supervisor replaces this process


def serve() -> None:
    """Run the API alone, by gunicorn.

    Example: CLOUDX_BIND=0.0.0.0 DATABASE_URL=postgresql://… cloudx serve
    """
    settings = _api_settings()
    _prepare(settings)
    environment, token = _with_admin_token(settings)
    if token.is_own:  # where one is configured, the log begins with the log
        secret = load_settings(environment).admin_token() if token.is_new else None
        typer.echo(token_line(token.source, secret), err=True)
    gunicorn = COMMANDS["api"]
    os.execve(gunicorn[0], gunicorn, environment)  # noqa: S606 - a fixed list; gunicorn replaces this process


def worker(
    scan: Annotated[str | None, typer.Option(help="Work on this scan alone and leave when it is over.")] = None,
) -> None:
    """Run a worker: claim chunks, scan, commit the findings.

    Example: DATABASE_URL=postgresql://… cloudx worker
    """
    from cloudx.processes.worker import run_worker

    sys.exit(run_worker(scan))


def agent(
    checks: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Serve this machine's checks there, for Consul.")
    ] = None,
) -> None:
    """Report this machine to the API at PRIMARY_NODE_URL: register, send heartbeats and checks. Runs no scan.

    Example: PRIMARY_NODE_URL=http://127.0.0.1:9999 cloudx agent --checks 127.0.0.1:7000
    """
    from cloudx.bootstrap.worker import node_agent
    from cloudx.logs import configure_logs
    from cloudx.worker.preflight_server import PreflightServer, parse_address

    settings = read_settings()
    configure_logs(settings)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        reports, checks_now = node_agent(settings)
        server = PreflightServer(parse_address(checks), checks_now) if checks else contextlib.nullcontext()
    except BadConfiguration as error:
        exit_with_error(error)
    with server:
        reports.run_until(stopping)


@db.command()
def upgrade() -> None:
    """Bring the schema up to date; safe to run at any time, in many processes at once.

    Example: DATABASE_URL=postgresql://… cloudx db upgrade
    """
    _prepare(read_settings())
    typer.echo("The schema is up to date.")


def _api_settings() -> Settings:
    settings = read_settings()
    try:
        require_private(settings.cloudx_data_dir)
        settings.require_for_dispatching()
    except BadConfiguration as error:
        exit_with_error(error)
    return settings


def _prepare(settings: Settings) -> None:
    """Upgrade the schema, waiting for a database that is still coming up."""
    from cloudx.bootstrap.database import prepare_database

    def why_not() -> str | None:
        try:
            prepare_database(settings)
            return None
        except DependencyUnavailable as error:
            return error.message

    try:
        wait_until(why_not)
    except CloudxError as error:
        exit_with_error(error)


class _AdminToken(NamedTuple):
    """Where the admin token is, whether the install made it for itself, and whether this very start did."""

    source: str
    is_own: bool = False
    is_new: bool = False


def _with_admin_token(settings: Settings) -> tuple[dict[str, str], _AdminToken]:
    """This process's environment, plus a token file if no admin token is configured."""
    environment = dict(os.environ)
    if settings.cloudx_auth is AuthMode.OPEN:
        return environment, _AdminToken("not needed: CLOUDX_AUTH=open")
    if settings.has_admin_token:
        return environment, _AdminToken(f"in {settings.cloudx_admin_token_file or 'CLOUDX_ADMIN_TOKEN'}")
    file, is_new = ensure_admin_token(settings.cloudx_data_dir)
    return environment | {"CLOUDX_ADMIN_TOKEN_FILE": str(file)}, _AdminToken(f"in {file}", True, is_new)

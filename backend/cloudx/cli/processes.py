"""The long-running commands: up, serve, worker; and db upgrade, which they do by themselves where they may."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import typing
from collections.abc import Callable
from typing import Annotated

import structlog
import typer

from cloudx.config import AuthMode, Settings, load_settings
from cloudx.domain.errors import BadConfiguration, CloudxError, DependencyUnavailable

from .exclusive_start import claim_data_folder, require_free_port
from .first_start import ensure_admin_token, write_cli_file
from .supervise import COMMANDS

DATABASE_WAIT_SECONDS = 60.0

log = structlog.get_logger()
db = typer.Typer(help="The database's schema.", no_args_is_help=True)


def up() -> None:
    """Run the whole product on this machine: the API and one worker, until Ctrl-C.

    Example: PORT=5002 cloudx up
    """
    settings = _settings()
    claim_data_folder(settings.cloudx_data_dir)
    require_free_port(settings.cloudx_bind, settings.port)
    _prepare(settings)
    environment = _with_admin_token(settings)
    write_cli_file(settings.cloudx_data_dir, settings.own_url, load_settings(environment).admin_token())
    supervise = [sys.executable, "-m", "cloudx.cli.supervise", str(settings.cloudx_data_dir)]
    os.execve(supervise[0], supervise, environment)  # noqa: S606 - a fixed list; it takes this process's place


def serve() -> None:
    """Run the API alone, by gunicorn.

    Example: CLOUDX_BIND=0.0.0.0 DATABASE_URL=postgresql://… cloudx serve
    """
    settings = _settings()
    _prepare(settings)
    environment = _with_admin_token(settings, announce=True)
    gunicorn = COMMANDS["api"]
    os.execve(gunicorn[0], gunicorn, environment)  # noqa: S606 - a fixed list; gunicorn takes this process's place


def worker(
    scan: Annotated[str | None, typer.Option(help="Work on this scan alone and leave when it is over.")] = None,
) -> None:
    """Run a worker: claim chunks, scan, commit what was found.

    Example: DATABASE_URL=postgresql://… cloudx worker
    """
    from cloudx.bootstrap import resident_worker, why_schema_is_unfit
    from cloudx.logs import configure_logs
    from cloudx.worker.run_folder import RunFolder

    settings = _settings()
    configure_logs(settings)
    _wait_until(lambda: why_schema_is_unfit(settings))
    folder = RunFolder(settings.cloudx_data_dir.absolute() / "runs")
    try:
        resident = resident_worker(settings, folder.path, only_scan=scan)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: resident.stop())
        code = resident.run()
    finally:
        folder.remove()
    sys.exit(code)


def agent(
    checks: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Serve this machine's checks there, for Consul.")
    ] = None,
) -> None:
    """Report this machine to the API at PRIMARY_NODE_URL: register, beat, say what is wrong with it. Runs no scan.

    Example: PRIMARY_NODE_URL=http://127.0.0.1:9999 cloudx agent --checks 127.0.0.1:7000
    """
    from cloudx.bootstrap import node_agent
    from cloudx.logs import configure_logs
    from cloudx.worker.preflight_server import PreflightServer, parse_address

    settings = _settings()
    configure_logs(settings)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        reports, checks_now = node_agent(settings)
        server = PreflightServer(parse_address(checks), checks_now) if checks else contextlib.nullcontext()
    except BadConfiguration as error:
        _stop(error.message, code=2)
    with server:
        reports.run_until(stopping)


@db.command()
def upgrade() -> None:
    """Bring the schema up to date; safe to run at any time, by many at once.

    Example: DATABASE_URL=postgresql://… cloudx db upgrade
    """
    _prepare(_settings())
    typer.echo("The schema is up to date.")


def _settings() -> Settings:
    os.umask(0o077)  # what these processes write (database, scanner output) is nobody else's business
    try:
        return load_settings()
    except BadConfiguration as error:
        _stop(error.message, code=2)


def _stop(message: str, code: int = 1) -> typing.NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)


def _prepare(settings: Settings) -> None:
    """Upgrade the schema, waiting for a database that is still coming up."""
    from cloudx.bootstrap import prepare_database

    def why_not() -> str | None:
        try:
            prepare_database(settings)
            return None
        except DependencyUnavailable as error:
            return error.message

    try:
        _wait_until(why_not)
    except CloudxError as error:
        _stop(error.message)


def _wait_until(why_not: Callable[[], str | None]) -> None:
    """Ask again until there is nothing wrong; give up with the last reason after DATABASE_WAIT_SECONDS."""
    deadline = time.monotonic() + DATABASE_WAIT_SECONDS
    said = None
    while reason := why_not():
        if time.monotonic() > deadline:
            _stop(reason)
        if reason != said:
            log.warning("database.waiting", reason=reason)
        said = reason
        time.sleep(1.0)


def _with_admin_token(settings: Settings, announce: bool = False) -> dict[str, str]:
    """This process's environment, with the token file of the data folder where no admin token is configured."""
    environment = dict(os.environ)
    if settings.cloudx_auth is AuthMode.OPEN or settings.has_admin_token:
        return environment
    file, is_new = ensure_admin_token(settings.cloudx_data_dir)
    if announce:
        shown = f"{file.read_text().strip()} (shown this once; kept in {file})" if is_new else f"in {file}"
        typer.echo(f"admin token: {shown}", err=True)
    return environment | {"CLOUDX_ADMIN_TOKEN_FILE": str(file)}

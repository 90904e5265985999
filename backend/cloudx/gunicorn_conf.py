"""How gunicorn runs the API. The patch comes before every other import, so that all I/O gives way to other requests."""

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from cloudx.config import Settings, load_settings


def _fresh_metrics_folder(settings: Settings) -> Path:
    """An empty folder for the workers' metric files; what an earlier run left would be counted again."""
    folder = settings.cloudx_data_dir.absolute() / f"metrics-{settings.port}"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
    except OSError:  # a read-only data folder, where the database is elsewhere
        return Path(tempfile.mkdtemp(prefix="cloudx-metrics-"))
    return folder


_settings = load_settings()
_metrics_folder = _fresh_metrics_folder(_settings)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics_folder)  # prometheus_client reads it when it is imported

from prometheus_client import multiprocess

from cloudx.adapters.database.gevent_wait import make_psycopg2_cooperate
from cloudx.api.context import EXTENSION
from cloudx.logs import configure_logs

configure_logs(_settings)
make_psycopg2_cooperate()

bind = (
    f"[{_settings.cloudx_bind}]:{_settings.port}"
    if ":" in _settings.cloudx_bind
    else f"{_settings.cloudx_bind}:{_settings.port}"
)
workers = _settings.web_concurrency
worker_class = "gevent"
worker_connections = 1000
preload_app = True  # imported once: half the start and shared memory (measured: docs/operations.md)
control_socket_disable = True
graceful_timeout = 25  # below Nomad's kill_timeout of 30 s
timeout = 60
keepalive = 75  # longer than Fabio keeps an idle connection, so that it never writes into a closed one
limit_request_line = 8190
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112 - a slow disk must not look like a hung worker
accesslog = None  # the application logs requests itself, with their ids
logconfig_dict: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"gunicorn.error": {"level": "INFO", "propagate": True, "handlers": []}},
}


def post_worker_init(worker: Any) -> None:
    """Threads and database connections belong to the worker, not to the process it was forked from."""
    worker.wsgi.extensions[EXTENSION].start_background()


def child_exit(_server: Any, worker: Any) -> None:
    """Fold away the gauges of a worker that is gone."""
    multiprocess.mark_process_dead(worker.pid)


def on_exit(_server: Any) -> None:
    """Leave nothing behind."""
    shutil.rmtree(_metrics_folder, ignore_errors=True)

"""How gunicorn runs the API. gunicorn executes this file outside its package, so it imports by full names.

The patch comes before every other import, so that all I/O gives way to other requests.
"""

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
import gc
import os
import resource
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Any

from cloudx.config import Settings, load_settings
from cloudx.memory import leave_rich_out

leave_rich_out()

# In memory: the metric files are mapped, and a full disk under a mapping kills the process (SIGBUS).
_MEMORY = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def _fresh_metrics_folder(settings: Settings) -> Path:
    """An empty folder for the workers' metric files: those of an earlier run would be counted again."""
    install = zlib.crc32(str(settings.cloudx_data_dir.absolute()).encode())
    folder = (_MEMORY or Path(tempfile.gettempdir())) / f"cloudx-metrics-{os.getuid()}-{install:08x}-{settings.port}"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
    except OSError:  # the folder is another user's: anybody may write there
        return Path(tempfile.mkdtemp(prefix="cloudx-metrics-", dir=_MEMORY))
    return folder


_settings = load_settings()
_metrics_folder = _fresh_metrics_folder(_settings)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics_folder)  # prometheus_client reads it when it is imported

import gevent.hub
import gunicorn.http  # noqa: F401 - with the rest below: imported once here, shared by every worker
from prometheus_client import multiprocess

import cloudx.api.app
import cloudx.bootstrap.api
import cloudx.bootstrap.database
from cloudx.api.context import EXTENSION
from cloudx.logs import configure_logs
from cloudx.server.draining_worker import DrainingWorker, PropagatingLogger
from cloudx.services.access.resolve_names import SIDE_BY_SIDE

configure_logs(_settings)
# gevent looks names up on these threads. With ten of them, its default, 250 names at 100 ms took 2.6 s.
gevent.hub.Hub.threadpool_size = SIDE_BY_SIDE
cloudx.bootstrap.api.prepare_for_fork(_settings)
# Imported modules stay for ever, so the collector need not touch them, which would copy their pages in every worker.
gc.collect()
gc.freeze()
cloudx.bootstrap.database.cooperate_with_gevent()

_host = f"[{_settings.cloudx_bind}]" if ":" in _settings.cloudx_bind else _settings.cloudx_bind
bind = f"{_host}:{_settings.port}"
workers = _settings.web_concurrency
worker_class = DrainingWorker
logger_class = PropagatingLogger
worker_connections = 5500  # each worker of a fleet without work holds one, and each listener to events
# Clients alone would use up the 1,024 files that systemd's default gives a service.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if resource.RLIM_INFINITY not in (_soft, _hard):
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(_soft, min(2 * worker_connections, _hard)), _hard))
sendfile = False  # so that each piece of an answer has its time (slow_clients.py)
limit_request_line = 8190
# The modules are shared already. The application itself is made in each worker, so that no thread, connection or lock
# goes through a fork.
preload_app = False
control_socket_disable = True
graceful_timeout = 25  # below Nomad's longest kill_timeout, 30 s
timeout = 60
keepalive = 75  # longer than Fabio keeps idle connections (15 s), so that it never writes into a closed one
worker_tmp_dir = str(_MEMORY) if _MEMORY else None  # on a slow disk a worker would seem hung
forwarded_allow_ips = ""  # no proxy is trusted to name the client


def post_worker_init(worker: Any) -> None:
    """Start the background work of a worker, once its application is there."""
    process = worker.wsgi.extensions[EXTENSION]
    process.start_background()
    worker.at_stop = process.stop_waiting


def child_exit(_server: Any, worker: Any) -> None:
    """Remove the gauges of a worker that is gone."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """Remove the metric files."""
    shutil.rmtree(_metrics_folder, ignore_errors=True)

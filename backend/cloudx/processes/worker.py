"""`cloudx worker`: from its start to its first claim, without the libraries of the command line.

A worker is started for each dispatch, and a scan waits for it; typer and rich cost 0.1 s and 12 MB.
"""

from __future__ import annotations

import gc
import signal

from cloudx.memory import leave_rich_out

from .startup import read_settings, wait_until


def run_worker(scan_id: str | None) -> int:
    """Work until told to leave, or until the given scan is over; return the exit code."""
    gc.disable()  # collecting during imports takes a tenth of the start, and frees nothing
    leave_rich_out()
    settings = read_settings()
    from cloudx.bootstrap.worker import WorkerStart
    from cloudx.logs import configure_logs
    from cloudx.worker.run_folder import RunFolder

    configure_logs(settings)
    start = WorkerStart(settings)
    wait_until(start.why_schema_is_unfit)
    folder = RunFolder(settings.cloudx_data_dir.absolute() / "runs")
    try:
        resident = start.resident_worker(folder.path, only_scan=scan_id)
        gc.freeze()
        gc.enable()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: resident.stop())
        return resident.run()
    finally:
        folder.remove()

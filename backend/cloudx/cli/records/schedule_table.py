"""Schedules as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from cloudx.terminal import out, table, visible


def print_schedules(schedules: Sequence[dict[str, Any]]) -> None:
    """One row a schedule."""
    shown = table("ID", "NAME", "CRON", "NEXT", "LAST", "SCAN", folds=("LAST", "SCAN"))
    for one in schedules:
        cells = (one["id"], one["name"], f"{one['cron']} {one['timezone']}", _next(one), _last(one), _scan(one["scan"]))
        shown.add_row(*(Text(visible(cell)) for cell in cells))
    out().print(shown)


def _next(schedule: dict[str, Any]) -> str:
    runs = schedule["next_runs"]
    return str(runs[0])[:16].replace("T", " ") if runs else "disabled"


def _last(schedule: dict[str, Any]) -> str:
    last = schedule["last_run"]
    return f"{str(last['at'])[:16].replace('T', ' ')} UTC {last['outcome']}" if last else "never"


def _scan(body: dict[str, Any]) -> str:
    targets = [*(body.get("targets") or []), *([body["target"]] if body.get("target") else [])]
    of = f"list {body['list']}" if body.get("list") else " ".join(targets)
    return f"{body['tool']} {body.get('scan_type') or ''} of {of}".replace("  ", " ")

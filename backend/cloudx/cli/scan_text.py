"""A scan in words: durations, progress, coverage. Pure functions of the API's documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cloudx.domain.errors import InvalidInput

Scan = Mapping[str, Any]

TRUSTED_FROM_PERCENT = 5.0  # nmap looks for hosts first, at a pace that predicts nothing about its port scan
FINAL = ("completed", "failed", "stopped")
STYLES = {
    "submitted": "dim",
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "stopped": "yellow",
    "healthy": "green",
    "draining": "yellow",
    "degraded": "yellow",
    "critical": "red",
    "offline": "dim",
}


def is_over(scan: Scan) -> bool:
    """True if the scan will never change again."""
    return scan["status"] in FINAL


def unit_of(scan: Scan) -> str:
    """The unit of its coverage: a host for nmap, a probe for the others."""
    return "host" if scan["tool"] == "nmap" else "probe"


def duration(seconds: float) -> str:
    """0:07, 12:34, 1:02:03 or 3d 4:05:06."""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if not hours:
        return f"{minute}:{second:02}"
    return (f"{days}d " if days else "") + f"{hour}:{minute:02}:{second:02}"


def seconds_left(scan: Scan) -> float | None:
    """The API's estimate; None until enough is done for it to mean something."""
    eta_seconds = scan.get("eta_seconds")
    return float(eta_seconds) if eta_seconds is not None and scan["progress"] >= TRUSTED_FROM_PERCENT else None


def counted(number: int, noun: str) -> str:
    """1 worker, 2 workers."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def local_time(text: str | None) -> str:
    """An ISO time of the API in this machine's zone, to the second; empty when there is none."""
    moment = moment_of(text)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def age(text: str | None, now: datetime) -> str:
    """How long ago an ISO time was, in its largest unit: 5s, 3m, 2h, 9d; empty when there is none."""
    moment = moment_of(text)
    if moment is None:
        return ""
    seconds = max(0, int((now - moment).total_seconds()))
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def moment_of(text: str | None) -> datetime | None:
    """Parse an ISO time of the API; None if there is none."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def took_seconds(scan: Scan) -> float | None:
    """From its first chunk to its end."""
    started, finished = moment_of(scan.get("started_at")), moment_of(scan.get("finished_at"))
    return (finished - started).total_seconds() if started and finished else None


def remaining_units(scan: Scan) -> int:
    """Units that are neither completed nor excluded nor failed."""
    coverage = scan["coverage"]
    return int(coverage["planned"] - coverage["completed"] - coverage["excluded"] - coverage["failed"])


def stages_line(scan: Scan) -> str:
    """How far each stage of a scan of two is: masscan 8 of 8 probes, then nmap 3 of 5 ports; empty for other scans."""
    stages = scan["coverage"].get("stages") or []
    told = []
    for stage in stages:
        settled = stage["planned"] - stage["remaining"]
        failed = f" ({stage['failed']:,} failed)" if stage["failed"] else ""
        told.append(f"{stage['tool']} {settled:,} of {stage['planned']:,} {stage['unit']}{failed}")
    return ", then ".join(told)


def coverage_line(scan: Scan) -> str:
    """The proof on a line: planned = completed + excluded + failed, plus what remains or was not finished, if any."""
    coverage, remaining = scan["coverage"], remaining_units(scan)
    line = (
        f"{counted(coverage['planned'], unit_of(scan))} planned = {coverage['completed']:,} completed"
        f" + {coverage['excluded']:,} excluded + {coverage['failed']:,} failed"
    )
    if not remaining:
        return line
    if not is_over(scan):
        return f"{line} + {remaining:,} to do"
    sent = coverage.get("packets_sent")
    return f"{line} + {remaining:,} not finished" + (f"; {sent:,} packets had been sent" if sent is not None else "")


def chunks_line(scan: Scan) -> str:
    """4 done, 1 leased, 2 pending, 0 failed; after a stop, 3 cancelled."""
    chunks = scan["chunks"]
    states = ["done", "leased", "pending", "failed"] + (["cancelled"] if chunks.get("cancelled") else [])
    return ", ".join(f"{chunks[state]:,} {state}" for state in states)


def progress_line(scan: Scan, percent: float) -> str:
    """The state of a running scan: units, the bound of its rate, workers, chunks."""
    if scan["status"] == "submitted":
        return "waiting for a worker"
    planned, workers = scan["coverage"]["planned"], scan["workers"]
    active = [worker for worker in workers if worker["rate"]]
    parts = [stages_line(scan) or f"{int(planned * percent / 100):,} of {counted(planned, unit_of(scan))}"]
    if active:
        # What the workers are granted: an upper bound, which nmap seldom reaches.
        parts += [f"up to {sum(w['rate'] for w in active):,} packets/s", counted(len(active), "worker")]
    chunks = scan["chunks"]
    parts.append(f"{chunks['done']:,} of {sum(chunks.values()):,} chunks done")
    return " · ".join(parts)


def worker_lines(scan: Scan, most: int) -> list[str]:
    """If there are several workers, a line for each, at most `most`: its node, granted rate and finished chunks."""
    workers = sorted(scan["workers"], key=lambda worker: str(worker["node_id"]))
    if len(workers) < 2 or is_over(scan):
        return []
    lines = [
        f"{worker['node_id']}  {worker['rate']:>9,} packets/s  {counted(worker['chunks_done'], 'chunk'):>9} done"
        for worker in workers
    ]
    if len(lines) > most:
        lines[most - 1 :] = [f"and {len(lines) - most + 1:,} more"]
    return lines


def doubtful_line(findings: Sequence[Mapping[str, Any]]) -> str:
    """How many of the shown ports are open, and of how many nothing was heard; empty where all of them answered."""
    doubtful = sum(finding["state"] == "open|filtered" for finding in findings)
    if not doubtful:
        return ""
    answered = len(findings) - doubtful
    return f"{answered:,} answered; of {doubtful:,} nothing was heard (open|filtered): a firewall may eat the probes."


def outcome_line(scan: Scan) -> str:
    """How the scan ended, on a line."""
    took = took_seconds(scan)
    line = f"{scan['tool']} {scan['scan_type']} of {scan['target']}: {scan['status']}"
    if took is not None:
        line += f" in {took:.1f} s" if took < 60 else f" in {duration(took)}"
    return line + (f". {scan['error']}" if scan.get("error") else "")


def caps_of(texts: list[str] | None) -> dict[str, int] | None:
    """Caps as `24:200`, by prefix length. Raises InvalidInput."""
    if not texts:
        return None
    caps: dict[str, int] = {}
    for text in texts:
        length, colon, rate_pps = text.removeprefix("/").partition(":")
        if not (colon and rate_pps.isascii() and rate_pps.isdigit() and len(rate_pps) <= 9) or length in caps:
            raise InvalidInput("rate_per_prefix", f"{text[:40]!r} is no LENGTH:RATE: write 24:200, each length once.")
        caps[length] = int(rate_pps)
    return caps

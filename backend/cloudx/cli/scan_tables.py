"""Scans and findings as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from cloudx.terminal import out, say, table, visible

from .api_client import ApiClient
from .scan_text import (
    STYLES,
    Scan,
    age,
    chunks_line,
    counted,
    coverage_line,
    doubtful_line,
    duration,
    is_over,
    local_time,
    outcome_line,
    remaining_units,
    seconds_left,
    stages_line,
)

SHOWN_FINDINGS = 50
SHOWN_CHARACTERS = 500  # of a warning under a table; `cloudx show` has all of it
Finding = dict[str, Any]


def styled(status: object) -> Text:
    """A status in its colour."""
    return Text(visible(status), style=STYLES.get(str(status), ""))


def print_scans(scans: Sequence[Scan]) -> None:
    """One row a scan, newest first."""
    shown = table("ID", "STATUS", "AGE", "SCAN", "TARGET", right=("AGE",), folds=("TARGET",))
    now = datetime.now(UTC)
    for scan in scans:
        status = styled(scan["status"])
        if scan["status"] == "running":
            status.append(f" {scan['progress']:.0f} %")
        if scan.get("paused"):
            status.append(" paused")
        elif scan.get("waits_until"):
            status.append(" waits")
        what = Text(visible(f"{scan['tool']} {scan['scan_type']}"))
        target = Text(visible(scan["target"], 60))
        shown.add_row(visible(scan["job_id"]), status, age(scan["created_at"], now), what, target)
    out().print(shown)


def print_scan(scan: Scan) -> None:
    """Everything about a scan but its findings."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in _facts(scan):
        if value not in (None, ""):
            grid.add_row(label, value if isinstance(value, Text) else Text(visible(value)))
    out().print(grid)


def _rate(scan: Scan) -> str:
    return "at nmap's own pace" if scan["rate"] is None else f"at most {scan['rate']:,} packets/s"


def _then(scan: Scan) -> str:
    then = scan.get("then")
    return f", then {then['tool']} {then['scan_type']} of open ports" if then else ""


def _facts(scan: Scan) -> list[tuple[str, object]]:
    left_seconds, warnings = seconds_left(scan), scan.get("warnings")
    workers = [f"{w['node_id']} ({counted(w['chunks_done'], 'chunk')} done)" for w in scan["workers"]]
    return [
        ("scan", scan["job_id"]),
        ("name", scan.get("name")),
        ("what", f"{scan['tool']} {scan['scan_type']} of {scan['target']}{_then(scan)}"),
        ("status", styled(scan["status"])),
        ("error", scan.get("error")),
        ("waiting", scan.get("waiting_reason")),
        ("warnings", Text("\n".join(visible(text, None) for text in warnings)) if warnings else ""),
        ("progress", f"{scan['progress']:.1f} %" + (f", about {duration(left_seconds)} left" if left_seconds else "")),
        ("coverage", _coverage(scan)),
        ("stages", stages_line(scan)),
        ("chunks", chunks_line(scan)),
        ("workers", ", ".join(workers)),
        ("rate", f"{_rate(scan)}, priority {scan['priority']}"),
        ("submitted", f"{local_time(scan['created_at'])} by {scan['created_by']}"),
        ("started", local_time(scan.get("started_at"))),
        ("finished", local_time(scan.get("finished_at"))),
    ]


def print_outcome(api: ApiClient, scan: Scan) -> None:
    """The first findings of a scan, and the proof of what it covered."""
    print_findings(api, scan, SHOWN_FINDINGS)
    out().print(Text.assemble((visible(outcome_line(scan), None), STYLES[scan["status"]])), soft_wrap=True)
    out().print(Text.assemble("coverage: ", _coverage(scan)), soft_wrap=True)
    if stages := stages_line(scan):
        out().print(f"stages: {visible(stages)}", soft_wrap=True)
    for warning in scan.get("warnings", ()):
        say(f"warning: {visible(warning, SHOWN_CHARACTERS)}")


def print_findings(api: ApiClient, scan: Scan, limit: int) -> None:
    """The first findings, and how to get the rest, if any."""
    page = api.get(f"/api/scans/{scan['job_id']}/results", format="json", limit=limit)
    if page["items"]:
        out().print(_findings_table(page["items"]))
        out().print()
        if line := doubtful_line(page["items"]):
            say(line)
    else:
        say("It found nothing open." if is_over(scan) else "It has found nothing so far.")
    if page["next_cursor"]:
        say(f"These are the first {limit:,}. All of them: cloudx results {scan['job_id']} --format csv -o findings.csv")


def _findings_table(findings: Sequence[Finding]) -> Table:
    columns = ["ADDRESS", "PORT", "STATE", "SERVICE", "HOST NAME"]
    shown = table(*columns, right=("PORT",), folds=("SERVICE", "HOST NAME"))
    for finding in findings:
        shown.add_row(
            visible(finding["ip"]),
            port_of(finding),
            _state(finding["state"]),
            Text(service_of(finding)),
            Text(names_of(finding)),
        )
    return shown


def port_of(finding: Finding) -> str:
    """80/tcp, or icmp, which has no ports."""
    return visible(f"{finding['port']}/{finding['protocol']}" if finding["port"] else finding["protocol"])


def _state(state: str) -> Text:
    return Text(visible(state), style="green" if state in ("open", "up") else "dim")


def names_of(finding: Finding) -> str:
    """Every name that the address was asked by."""
    return visible(", ".join(finding.get("hostnames") or filter(None, [finding.get("hostname")])))


def service_of(finding: Finding) -> str:
    """The service with its product and version, which a tool adds to the finding itself or to its `extra`."""
    added = finding | (finding.get("extra") or {})
    parts = (added.get("service"), added.get("product"), added.get("version"))
    return visible(" ".join(str(part) for part in parts if part))


def _coverage(scan: Scan) -> Text:
    whole = remaining_units(scan) == 0 and scan["coverage"]["failed"] == 0
    style = "green" if whole else "yellow" if is_over(scan) else ""
    return Text(coverage_line(scan), style=style)

"""Every finding of a scan as nmap's XML, beside the same as NDJSON, on PostgreSQL and on SQLite.

`scripts/bench export_xml [FINDINGS]`. Each export is a process of its own, so that its peak memory is its own; the
smaller one before it shows whether memory grows with the scan. Goal: at least half of NDJSON's rows a second, and at
most a tenth more memory for five times the findings.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.api.nmap_xml.document import nmap_xml_of
from cloudx.api.result_formats import ndjson_of
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.chunks.finish import RunOutput, complete_chunk
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.scans.report import read_report
from cloudx.services.scans.results import stream_findings
from fixtures.ledgers import Desk
from fixtures.servers.postgres import new_server

from .result_pages import PORTS, findings_of, ip_of

FINDINGS = 1_000_000
SMALL_SHARE = 5
ROUNDS = 3


def filled(url: str, *sizes: int) -> list[str]:
    """A migrated ledger with a finished scan of each size; their ids."""
    engine = engine_for(url)
    upgrade(engine)
    open_ledger = open_ledger_on(engine)
    ensure_first_scope(open_ledger)
    desk, scans = Desk(open_ledger, engine), []
    for size in sizes:
        scan = desk.submit(f"10.0.0.0-{ip_of(size - 1)}", ports=f"1-{PORTS}", rate_pps=10_000_000)
        assert complete_chunk(open_ledger, desk.must_claim(), RunOutput(findings_of(size))) == size
        scans.append(scan.id)
    engine.dispose()
    return scans


def stream(form: str, open_ledger: OpenLedger, scan_id: str) -> Iterator[bytes]:
    """As the API makes it."""
    if form == "ndjson":
        return ndjson_of(stream_findings(open_ledger, scan_id))
    return nmap_xml_of(read_report(open_ledger, scan_id))


def child(form: str, url: str, scan_id: str) -> None:
    """Export once, then say how long it took and what it needed."""
    engine = engine_for(url)
    began = time.perf_counter()
    size = sum(map(len, stream(form, open_ledger_on(engine), scan_id)))
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "peak_rss_mb": own_peak_mb(), "megabytes": size / 1e6}))


def own_peak_mb() -> float:
    """Of this program: getrusage(2) would count its parent's memory at the fork too."""
    (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(peak) / 1024


def exported(form: str, url: str, scan_id: str) -> dict[str, float]:
    """In a process of its own."""
    command = [sys.executable, "-P", "-m", "bench.export_xml", "child", form, url, scan_id]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measure(name: str, url: str, findings: int) -> None:
    """Both turn about, so that whatever else the machine does falls on both."""
    small, whole = filled(url, findings // SMALL_SHARE, findings)
    runs: dict[str, list[dict[str, float]]] = {"ndjson": [], "xml": []}
    for _ in range(ROUNDS):
        for form, measured in runs.items():
            measured.append(exported(form, url, whole))
    rates = {form: findings / min(run["seconds"] for run in measured) for form, measured in runs.items()}
    before_mb = exported("xml", url, small)["peak_rss_mb"]
    peaks = {form: max(run["peak_rss_mb"] for run in measured) for form, measured in runs.items()}
    print(json.dumps({
        "name": f"export_xml_{name}", "value": round(rates["xml"]), "unit": "rows/s",
        "compared_with": f"ndjson: {rates['ndjson']:.0f} rows/s", "ratio": round(rates["xml"] / rates["ndjson"], 2),
        "goal": ">= 0.5", "findings": findings, "megabytes": round(runs["xml"][0]["megabytes"]),
    }), flush=True)  # fmt: skip
    print(json.dumps({
        "name": f"export_xml_memory_{name}", "value": round(peaks["xml"], 1), "unit": "MB",
        "compared_with": f"a {SMALL_SHARE}th of the findings: {before_mb:.1f} MB; ndjson: {peaks['ndjson']:.1f} MB",
        "ratio": round(peaks["xml"] / before_mb, 2), "goal": "<= 1.1", "findings": findings,
    }), flush=True)  # fmt: skip


def main(findings: int) -> None:
    """PostgreSQL, then SQLite."""
    server = new_server()
    try:
        measure("postgresql", server.url, findings)
    finally:
        server.remove()
    with tempfile.TemporaryDirectory() as folder:
        measure("sqlite", f"sqlite:///{folder}/ledger.db", findings)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:5])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else FINDINGS)

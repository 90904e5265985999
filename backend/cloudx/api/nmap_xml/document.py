"""The document around the hosts: what was asked for, when, and how many hosts there were."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from datetime import datetime

from cloudx import __version__
from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.tools import Tool
from cloudx.services.scans.report import HostCounts, Report, asked_ports, count_hosts

from .elements import element, start
from .host import host_pieces, is_up

XML_OUTPUT_VERSION = "1.05"  # of nmap's format, as nmap 7.93 and 7.95 write it
MAX_ARGUMENT = 2_048  # characters of the targets and of the ports in `args`
_PIECE_CHARACTERS = 1 << 16  # of one write to the socket
_EXIT = {ScanStatus.COMPLETED: "success", ScanStatus.FAILED: "error", ScanStatus.STOPPED: "error"}
_STOPPED = "The scan was stopped before its end."


def nmap_xml_of(report: Report) -> Iterator[bytes]:
    """The whole document, in pieces of bounded size."""
    held: list[str] = []
    size = 0
    for piece in _document(report):
        held.append(piece)
        size += len(piece)
        if size >= _PIECE_CHARACTERS:
            yield "".join(held).encode()
            held.clear()
            size = 0
    yield "".join(held).encode()


def _document(report: Report) -> Iterator[str]:
    scan = report.view.scan
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n' + _head(scan)
    up = unheard = 0
    for reported in report.hosts:
        if is_up(reported):
            up += 1
        else:
            unheard += 1
        yield from host_pieces(reported, scan.host_names)
    yield _run_stats(report, count_hosts(report.view, up, unheard)) + "</nmaprun>\n"


def _head(scan: Scan) -> str:
    began = _began(scan)
    run = {
        "scanner": "nmap",  # the one word that the DTD takes; `args` names the tool
        "args": request_of(scan),
        "start": int(began.timestamp()),
        "startstr": _time_text(began),
        "version": f"cloudx-{__version__}",
        "xmloutputversion": XML_OUTPUT_VERSION,
    }
    levels = element("verbose", {"level": "0"}) + "\n" + element("debugging", {"level": "0"})
    return start("nmaprun", run) + "\n" + "".join(_scan_infos(scan)) + levels + "\n"


def request_of(scan: Scan) -> str:
    """The command that asks for the same scan. What is long of it is cut."""
    words = ["cloudx", "scan", *_cut(scan.target_text).split(","), "--tool", scan.tool, "--type", scan.type_name]
    options = {
        "--ports": None if scan.ports is None else _cut(str(scan.ports)),
        "--rate": scan.asked_rate_pps,
        "--retries": scan.retries,
        "--timeout": scan.timeout_seconds,
    }
    for name, value in options.items():
        words += [] if value is None else [name, str(value)]
    return shlex.join(words)


def _cut(listed: str) -> str:
    """As many whole entries as there is room for."""
    if len(listed) <= MAX_ARGUMENT:
        return listed
    return listed[:MAX_ARGUMENT].rpartition(",")[0] + ",..."


def _scan_infos(scan: Scan) -> Iterator[str]:
    """A line for each protocol. Which ports nmap takes for the most common, the ledger does not know."""
    scan_type, ports = scan.type, asked_ports(scan)
    if scan_type.protocol == "icmp":
        return
    if ports is None:
        yield _scan_info(scan, scan_type.protocol, scan_type.usual_ports, "")
        return
    for protocol, ranges in ((scan_type.protocol, ports.ranges), ("udp", ports.udp_ranges)):
        if ranges:
            of_protocol = PortSet(ranges)
            yield _scan_info(scan, protocol, of_protocol.size, str(of_protocol))


def _scan_info(scan: Scan, protocol: str, count: int, ports: str) -> str:
    """The technique is the one that the scan type asks for: a node without raw sockets connects instead of `syn`."""
    connects = scan.tool is Tool.NMAP and scan.type_name == "tcp"
    technique = "udp" if protocol == "udp" else "connect" if connects else "syn"
    attributes = {"type": technique, "protocol": protocol, "numservices": count, "services": ports}
    return element("scaninfo", attributes) + "\n"


def _run_stats(report: Report, counts: HostCounts) -> str:
    scan = report.view.scan
    ended = scan.finished_at or report.made_at
    elapsed = f"{max(0.0, (ended - _began(scan)).total_seconds()):.2f}"
    hosts = f"{_counted(counts.total, 'IP address', 'es')} ({_counted(counts.up, 'host')} up)"
    verb = "done" if scan.status.is_final else "not done yet"
    summary = f"Cloud-X {verb} at {_time_text(ended)}; {hosts} scanned in {elapsed} seconds{_failures(report)}"
    finished = {
        "time": int(ended.timestamp()),
        "timestr": _time_text(ended),
        "summary": summary,
        "elapsed": elapsed,
        "exit": _EXIT.get(scan.status),
        "errormsg": _error(scan),
    }
    of_hosts = {"up": counts.up, "down": counts.down, "total": counts.total}
    return element("runstats", {}, element("finished", finished), element("hosts", of_hosts)) + "\n"


def _failures(report: Report) -> str:
    view = report.view
    unit = "host" if view.scan.counts_hosts else "probe"
    missed = view.coverage.failed + view.coverage.remaining
    return f"; {missed} of {_counted(view.coverage.planned, unit)} not probed" if missed else ""


def _error(scan: Scan) -> str | None:
    if scan.status is ScanStatus.STOPPED:
        return scan.error or _STOPPED
    return scan.error if scan.status is ScanStatus.FAILED else None


def _began(scan: Scan) -> datetime:
    return scan.started_at or scan.created_at


def _time_text(moment: datetime) -> str:
    """As nmap writes it, in UTC."""
    return time.asctime(moment.utctimetuple())


def _counted(count: int, word: str, plural: str = "s") -> str:
    return f"{count} {word}{'' if count == 1 else plural}"

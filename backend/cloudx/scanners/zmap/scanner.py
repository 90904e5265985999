"""zmap: one port, or ICMP echo, over many IPv4 addresses."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from typing_extensions import override

from cloudx.domain.coverage import Unprobed
from cloudx.domain.errors import CloudxError
from cloudx.domain.findings import AnyFinding, Finding
from cloudx.domain.proof.sending import ProbeFrames
from cloudx.domain.proof.tries import REPLY_WAIT_SECONDS
from cloudx.domain.tools import Tool
from cloudx.scanners.runs.output_streams import Lines, Source, Tail, pieces, read_last_words
from cloudx.scanners.runs.reply_dedup import ReplyDedup
from cloudx.scanners.runs.run_identity import seed_of, source_ports_of
from cloudx.scanners.runs.send_eta import SendEta
from cloudx.services.chunks.scanner_port import Assignment, Command, Egress, RunProgress, Scanner, TakenIn, Urgency

TARGETS_FILE = "targets"
RESULTS_FILE = "results.csv"
# Both are empty: the packaged configuration would leave private ranges out; exclusions were subtracted before.
_BLOCK_FILE, _CONFIG_FILE = "blocked", "zmap.conf"
ACCOUNT_FILE = "account.json"
_SENT_FILE = "sent"
COOLDOWN_SECONDS = int(REPLY_WAIT_SECONDS[Tool.ZMAP])
START_SECONDS = 0.02  # measured
_CHATTER = re.compile(r"\[(?:INFO|DEBUG)\]|too few targets relative to senders|; send: \d")
# Not the status file of -u: zmap opens it in a race with its own giving up of root, and then may not.
_STATUS = re.compile(rb"; send: (\d+) (done)?")


class Zmap(Scanner):
    """Scanner for zmap 2.1."""

    tool = Tool.ZMAP

    @override
    def command(self, assignment: Assignment, folder: Path) -> Command:
        """The argv; its status lines come by stderr."""
        argv = ["zmap", "--config", str(folder / _CONFIG_FILE), *_probes(assignment)]
        argv += ["--whitelist-file", str(folder / TARGETS_FILE), "--blacklist-file", str(folder / _BLOCK_FILE)]
        argv += ["--rate", str(assignment.rate_pps), "--cooldown-time", str(COOLDOWN_SECONDS)]
        first_port, last_port = source_ports_of(folder)
        argv += ["--seed", str(seed_of(folder)), "--source-port", f"{first_port}-{last_port}"]
        argv += ["--sender-threads", "1", "--cores", str(_processor_of(folder))]
        if assignment.egress is not None:
            argv += _egress_args(assignment.egress)
        argv += ["--output-module", "csv", "--output-fields", "saddr,ttl,timestamp-ts"]
        argv += ["--output-filter", "success = 1 && repeat = 0", "--output-file", str(folder / RESULTS_FILE)]
        argv += ["--metadata-file", str(folder / ACCOUNT_FILE), "--disable-syslog"]
        targets = [str(network) for network in assignment.addresses.networks()]
        files: dict[str, list[str]] = {TARGETS_FILE: targets, _BLOCK_FILE: [], _CONFIG_FILE: []}
        return Command(argv, files, urgency=Urgency.PACE, start_seconds=START_SECONDS)

    @override
    def probe_frames(self, assignment: Assignment, folder: Path) -> ProbeFrames | None:
        protocol = assignment.scan_type.protocol
        return ProbeFrames(protocol, *source_ports_of(folder), counts_replies=protocol == "tcp")

    @override
    def follow(
        self, assignment: Assignment, folder: Path, stdout: IO[bytes], stderr: IO[bytes]
    ) -> Iterator[RunProgress]:
        """RunProgress by the packets it says it sent, once a second."""
        lines, tail, progress = Lines(), Tail(), RunProgress(0.0)
        eta = SendEta(assignment.addresses.size, assignment.rate_pps)
        for source, data in pieces(stdout, stderr):
            if source is not Source.STDERR:
                continue
            tail.add(data)
            for line in lines.feed(data):
                if (status := _STATUS.search(line)) is not None:
                    progress = _advanced(progress, status, assignment.addresses.size, eta)
                    yield progress
        tail.save(folder)
        if progress.sent_share >= 1.0:
            (folder / _SENT_FILE).touch()

    @override
    def findings(self, assignment: Assignment, folder: Path) -> Iterator[AnyFinding]:
        """Open ports or live hosts, each once."""
        dedup = ReplyDedup(assignment.addresses, assignment.ports)
        port = assignment.ports.ranges[0][0] if assignment.ports else 0
        protocol = assignment.scan_type.protocol
        state = "up" if protocol == "icmp" else "open"
        stamp_text, stamp = "", datetime.now(UTC)
        with open(folder / RESULTS_FILE, encoding="ascii", newline="") as file:
            for ip, ttl, seconds in _rows(file):
                if dedup.probe_of_first_reply(ip.encode(), str(port).encode()) is None:
                    continue
                if seconds != stamp_text:
                    stamp_text, stamp = seconds, datetime.fromtimestamp(int(seconds), UTC)
                yield Finding(ip, protocol, port, state, stamp, extra={"ttl": int(ttl)})

    @override
    def unprobed(self, assignment: Assignment, folder: Path) -> Unprobed | None:
        return None  # zmap does not tell: the kernel's count of frames does

    @override
    def taken_in(self, folder: Path) -> TakenIn | None:
        account = _account(folder)
        if "success_total" not in account:
            return None
        return TakenIn(account["success_total"], (folder / ACCOUNT_FILE).stat().st_mtime)

    @override
    def last_words(self, folder: Path) -> str:
        """Its warnings and errors, after the replies that it missed."""
        words, missed = read_last_words(folder, _CHATTER), _account(folder).get("pcap_drop", 0)
        if not missed:
            return words
        remedy = "This machine is too busy to take them in: lower the scan's rate, or CLOUDX_NODE_RATE_LIMIT_PPS."
        return f"{missed} replies came faster than zmap read them and are lost. {remedy} {words}".rstrip()

    @override
    def succeeded(self, exit_code: int, folder: Path) -> bool:
        """It sent every probe, its capture dropped nothing and it ended by itself; a Ctrl-C also ends it with 0."""
        sent_all = (folder / _SENT_FILE).exists() and (folder / RESULTS_FILE).exists()
        return exit_code == 0 and sent_all and _account(folder).get("pcap_drop") == 0


def _probes(assignment: Assignment) -> list[str]:
    if assignment.ports is None:
        return ["--probe-module", "icmp_echoscan"]
    if assignment.ports.size != 1:
        raise CloudxError(f"zmap takes one port a run, not {assignment.ports}; use masscan for several.")
    return ["--probe-module", "tcp_synscan", "--target-port", str(assignment.ports)]


def _processor_of(folder: Path) -> int:
    """The one that a run's threads share, other ones for other runs.

    zmap 2.1.1 computes a probe's and a reply's check value in one place that its threads share (validate.c): side by
    side on two processors they spoil each other's, and a reply in some 100,000 is taken for a stranger's.
    """
    processors = sorted(os.sched_getaffinity(0))
    return processors[seed_of(folder) % len(processors)]


def _account(folder: Path) -> dict[str, Any]:
    """What zmap tells of its run when it ends (--metadata-file); empty where it did not come so far."""
    try:
        return dict(json.loads((folder / ACCOUNT_FILE).read_bytes()))
    except (OSError, ValueError):
        return {}


def _egress_args(egress: Egress) -> list[str]:
    argv = ["--interface", egress.interface, "--source-ip", egress.source_ip]
    # Without it zmap 2.1.1 looks the gateway up by a netlink read that never returns.
    return argv + (["--gateway-mac", egress.gateway_mac] if egress.gateway_mac is not None else [])


def _advanced(progress: RunProgress, status: re.Match[bytes], planned: int, eta: SendEta) -> RunProgress:
    share = max(progress.sent_share, min(1.0, int(status[1]) / max(1, planned)))
    sending_done = progress.sending_done or status[2] is not None
    return RunProgress(share, sending_done, None if sending_done else eta.ends_at(share))


def _rows(file: IO[str]) -> Iterator[list[str]]:
    rows = csv.reader(file)
    next(rows, None)  # the header
    return (row for row in rows if len(row) == 3)

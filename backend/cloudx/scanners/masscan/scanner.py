"""masscan: fast stateless TCP, UDP and ping scans of IPv4."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from typing_extensions import override

from cloudx.domain.coverage import Unprobed
from cloudx.domain.findings import FindingBlock
from cloudx.domain.proof.sending import ProbeFrames
from cloudx.domain.proof.tries import REPLY_WAIT_SECONDS
from cloudx.domain.tools import Tool
from cloudx.scanners.runs.output_streams import Lines, Source, Tail, pieces, read_last_words
from cloudx.scanners.runs.run_identity import seed_of, source_port_of
from cloudx.scanners.runs.send_eta import SendEta
from cloudx.services.chunks.scanner_port import Assignment, Command, Egress, RunProgress, Scanner, Urgency

from .records import Replies, saved_findings
from .wakeup import ReceiverWakeup

TARGETS_FILE = "targets"
RESULTS_FILE = "results.ndjson"
_SENT_FILE = "sent"  # made when masscan says that every probe is out
# It sends its first packet 0.1 s after its start, and then 0.1 s of its rate at once to make up for it (measured).
START_SECONDS = 0.0
WAIT_SECONDS = int(REPLY_WAIT_SECONDS[Tool.MASSCAN])
_WAKE_SECONDS = 0.1
# Less counts as full: runs that end between a failed write and our check give some room back.
_ROOM_BYTES = 32 << 20
_STATUS = re.compile(rb"rate:.*?([\d.]+)% done(, waiting)?")
_CHATTER = re.compile(r"^rate:|^Starting masscan|^Initiating |^Scanning |^waiting several seconds")


class Masscan(Scanner):
    """Scanner for masscan 1.3."""

    tool = Tool.MASSCAN

    @override
    def command(self, assignment: Assignment, folder: Path) -> Command:
        """The argv; each run has its own seed and source port."""
        argv = ["masscan", "-iL", str(folder / TARGETS_FILE), *_probes(assignment)]
        argv += ["--rate", str(assignment.rate_pps), "--wait", str(WAIT_SECONDS)]
        argv += ["--seed", str(seed_of(folder)), "--source-port", str(source_port_of(folder))]
        if assignment.egress is not None:
            argv += _egress_args(assignment.egress)
        # Otherwise masscan answers every reply with a reset that counts against its rate: where everything answers it
        # probed at half the rate. The kernel resets connections that it did not open, as it does for nmap.
        argv += ["--noreset", "-oD", str(folder / RESULTS_FILE)]
        files = {TARGETS_FILE: assignment.addresses.texts()}
        return Command(argv, files, urgency=Urgency.REPLIES, start_seconds=START_SECONDS)

    @override
    def probe_frames(self, assignment: Assignment, folder: Path) -> ProbeFrames | None:
        port = source_port_of(folder)
        return ProbeFrames(assignment.scan_type.protocol, port, port)

    @override
    def follow(
        self, assignment: Assignment, folder: Path, stdout: IO[bytes], stderr: IO[bytes]
    ) -> Iterator[RunProgress]:
        """RunProgress by its status lines; while it waits for late replies, keeps it awake and sorts what it has.

        Raises OSError for a full disk.
        """
        lines, tail, progress, replies = Lines(), Tail(), RunProgress(0.0), Replies(assignment)
        eta = SendEta(assignment.probes, assignment.rate_pps)
        with ReceiverWakeup(next(iter(assignment.addresses.slice(0, 1)))) as wakeup:
            for source, data in pieces(stdout, stderr, _WAKE_SECONDS):
                if progress.sending_done:
                    wakeup.nudge()
                    replies.read_on(folder / RESULTS_FILE)
                    replies.save_one(folder)
                if source is not Source.STDERR:
                    continue
                tail.add(data)
                for line in lines.feed(data):
                    if (status := _STATUS.match(line)) is not None:
                        progress = _advanced(progress, status, eta)
                        yield progress
        tail.save(folder)
        _refuse_full_disk(folder / RESULTS_FILE)
        replies.read_on(folder / RESULTS_FILE)
        replies.save(folder)
        if progress.sending_done:
            (folder / _SENT_FILE).touch()

    @override
    def findings(self, assignment: Assignment, folder: Path) -> Iterator[FindingBlock]:
        """Open ports and live hosts, each once; replies to other runs' probes are dropped."""
        return saved_findings(folder, assignment)

    @override
    def unprobed(self, assignment: Assignment, folder: Path) -> Unprobed | None:
        return None  # masscan does not tell: the kernel's count of frames does

    @override
    def last_words(self, folder: Path) -> str:
        """What it said on stderr, without its status lines."""
        return read_last_words(folder, _CHATTER)

    @override
    def succeeded(self, exit_code: int, folder: Path) -> bool:
        """It sent everything and ended by itself: its results are written out only then."""
        return exit_code == 0 and (folder / _SENT_FILE).exists() and (folder / RESULTS_FILE).exists()


def _probes(assignment: Assignment) -> list[str]:
    if assignment.ports is None:
        return ["--ping"]
    prefix = "U:" if assignment.scan_type.protocol == "udp" else ""
    return ["--ports", ",".join(prefix + entry for entry in str(assignment.ports).split(","))]


def _egress_args(egress: Egress) -> list[str]:
    argv = ["--interface", egress.interface, "--source-ip", egress.source_ip]
    if egress.gateway_mac is not None:
        argv += ["--router-mac", egress.gateway_mac.replace(":", "-")]
    return argv


def _refuse_full_disk(results: Path) -> None:
    """Raise OSError if results may be missing: masscan ends with 0 and says nothing when it cannot write them."""
    disk = os.statvfs(results.parent)
    if disk.f_bavail * disk.f_frsize < _ROOM_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(results))


def _advanced(progress: RunProgress, status: re.Match[bytes], eta: SendEta) -> RunProgress:
    """Never backwards. masscan also `waits` after a Ctrl-C; only a wait at 100 % means that everything is sent."""
    share = min(1.0, float(status[1]) / 100)
    sending_done = progress.sending_done or (status[2] is not None and share >= 1.0)
    share = max(progress.sent_share, share)
    return RunProgress(share, sending_done, None if sending_done else eta.ends_at(share))

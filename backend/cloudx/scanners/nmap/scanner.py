"""nmap: hosts with their ports, services, operating systems and script results, IPv4 and IPv6."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from typing_extensions import override

from cloudx.domain.coverage import Unprobed
from cloudx.domain.findings import AnyFinding
from cloudx.domain.proof.sending import ProbeFrames
from cloudx.domain.tools import Tool
from cloudx.scanners.runs.output_streams import Source, Tail, pieces, read_last_words
from cloudx.services.chunks.scanner_port import Assignment, Command, RunProgress, Scanner

from .hosts_seen import HostsSeen, unprobed_of
from .options import options
from .progress import NmapProgress

TARGETS_FILE = "targets"
RESULTS_FILE = "scan.xml"
_END_BYTES = 4096
_FINISHED = re.compile(rb'<finished [^>]*exit="success"[^>]*/>.*</nmaprun>\s*\Z', re.DOTALL)
_CHATTER = re.compile(r"highly aggressive --min-hostgroup|^Starting Nmap")


class Nmap(Scanner):
    """Scanner for nmap 7.9."""

    tool = Tool.NMAP

    @override
    def command(self, assignment: Assignment, folder: Path) -> Command:
        """The argv; the XML comes by stdout."""
        argv = ["nmap", *options(assignment), "-oX", "-", "-iL", str(folder / TARGETS_FILE)]
        return Command(argv, {TARGETS_FILE: [str(network) for network in assignment.addresses.networks()]})

    @override
    def probe_frames(self, assignment: Assignment, folder: Path) -> ProbeFrames | None:
        return None

    @override
    def follow(
        self, assignment: Assignment, folder: Path, stdout: IO[bytes], stderr: IO[bytes]
    ) -> Iterator[RunProgress]:
        """Spool the XML to disk and read the progress off it as it passes."""
        tail, reader = Tail(), NmapProgress(assignment.scan_type.name, assignment.addresses.size)
        hosts = HostsSeen()
        with open(folder / RESULTS_FILE, "wb") as spool:
            for source, data in pieces(stdout, stderr):
                if source is Source.STDERR:
                    tail.add(data)
                    hosts.feed_stderr(data)
                    continue
                spool.write(data)
                hosts.feed_xml(data)
                if (share := reader.feed(data)) is not None:
                    yield RunProgress(share)
        tail.save(folder)
        hosts.save(folder)

    @override
    def findings(self, assignment: Assignment, folder: Path) -> Iterator[AnyFinding]:
        """Hosts that are up, and their ports in state open or open|filtered."""
        from .xml import read_findings  # lxml: 4 MB that a worker without nmap scans does not need

        return read_findings(folder / RESULTS_FILE)

    @override
    def unprobed(self, assignment: Assignment, folder: Path) -> Unprobed | None:
        return unprobed_of(folder, assignment.addresses)

    @override
    def last_words(self, folder: Path) -> str:
        """What it said on stderr."""
        return read_last_words(folder, _CHATTER)

    @override
    def succeeded(self, exit_code: int, folder: Path) -> bool:
        """It ended by itself and its XML is whole."""
        if exit_code != 0:
            return False
        try:
            with open(folder / RESULTS_FILE, "rb") as file:
                file.seek(max(0, file.seek(0, 2) - _END_BYTES))
                return _FINISHED.search(file.read()) is not None
        except FileNotFoundError:
            return False

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
from .options import options, options_again
from .progress import NmapProgress

TARGETS_FILE = "targets"
RESULTS_FILE = "scan.xml"
_END_BYTES = 4096
_FINISHED = re.compile(rb'<finished [^>]*exit="success"[^>]*/>.*</nmaprun>\s*\Z', re.DOTALL)
_CHATTER = re.compile(r"highly aggressive --min-hostgroup|^Starting Nmap")
_FIRST_PASS_SHARE = 0.9  # of the bar, where a second pass may follow


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
    def next_command(self, assignment: Assignment, folder: Path) -> Command | None:
        """Of UDP ports of which nothing was heard, those that may be closed are asked again (udp_passes.py)."""
        if assignment.scan_type.protocol != "udp":
            return None
        from .udp_passes import next_pass, read_pass

        files = _results_files(folder)
        again = next_pass([read_pass(file) for file in files])
        if again is None:
            return None
        targets = f"{TARGETS_FILE}.{len(files) + 1}"
        argv = ["nmap", *options_again(assignment, again), "-oX", "-", "-iL", str(folder / targets)]
        return Command(argv, {targets: list(again.hosts)})

    @override
    def follow(
        self, assignment: Assignment, folder: Path, stdout: IO[bytes], stderr: IO[bytes]
    ) -> Iterator[RunProgress]:
        """Spool the XML to disk and read the progress off it as it passes."""
        tail, reader = Tail(), NmapProgress(assignment.scan_type.name, assignment.addresses.size)
        hosts, file = HostsSeen(), _current_file(folder)
        is_first = file.name == RESULTS_FILE
        with open(file, "wb") as spool:
            for source, data in pieces(stdout, stderr):
                if source is Source.STDERR:
                    tail.add(data)
                    hosts.feed_stderr(data)
                    continue
                spool.write(data)
                hosts.feed_xml(data)
                if is_first and (share := reader.feed(data)) is not None:
                    yield RunProgress(share if assignment.scan_type.protocol != "udp" else share * _FIRST_PASS_SHARE)
        tail.save(folder)
        if is_first:
            hosts.save(folder)
        is_udp = assignment.scan_type.protocol == "udp"
        if is_udp and self.succeeded(0, folder) and self.next_command(assignment, folder) is None:
            yield RunProgress(1.0)

    @override
    def findings(self, assignment: Assignment, folder: Path) -> Iterator[AnyFinding]:
        """Hosts that are up, and their ports in state open or open|filtered, as far as the chunk has them."""
        from .merge_passes import merged_findings  # lxml: 4 MB that a worker without nmap scans does not need

        return merged_findings(assignment, _results_files(folder))

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
            with open(_current_file(folder), "rb") as file:
                file.seek(max(0, file.seek(0, 2) - _END_BYTES))
                return _FINISHED.search(file.read()) is not None
        except FileNotFoundError:
            return False


def _results_files(folder: Path) -> list[Path]:
    """A file for each pass, in order."""
    later = sorted(folder.glob("scan.[0-9].xml"))
    return [folder / RESULTS_FILE, *later]


def _current_file(folder: Path) -> Path:
    """Where the pass under way writes: its list of targets is there already."""
    later = sorted(folder.glob(f"{TARGETS_FILE}.[0-9]"))
    return folder / (f"scan{later[-1].suffix}.xml" if later else RESULTS_FILE)

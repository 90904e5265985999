"""The findings of a run of one or several passes, without what lies outside its chunk."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path

from cloudx.domain.addresses import AddressSet
from cloudx.domain.findings import AnyFinding, Finding, HostFinding
from cloudx.services.chunks.scanner_port import Assignment

from .udp_passes import doubtful_after, read_pass
from .xml import read_findings


def merged_findings(assignment: Assignment, files: Sequence[Path]) -> Iterator[AnyFinding]:
    """Of the first pass what no later one contradicts, and what later ones found open of its doubtful ports."""
    found = read_findings(files[0], with_shut=assignment.are_known_open)
    if len(files) > 1:
        found = _settled(found, files)
    return _inside(found, assignment)


def _settled(found: Iterator[AnyFinding], files: Sequence[Path]) -> Iterator[AnyFinding]:
    passes = [read_pass(file) for file in files]
    asked, left = doubtful_after(passes[:1]), doubtful_after(passes)
    later = {
        (finding.ip, finding.port): finding
        for finding in chain.from_iterable(map(read_findings, files[1:]))
        if isinstance(finding, Finding) and finding.port in asked.get(finding.ip, ())
    }
    for finding in found:
        if not isinstance(finding, Finding) or finding.state == "open":
            yield finding
        elif finding.port in left.get(finding.ip, ()):
            later.pop((finding.ip, finding.port), None)
            yield finding
    for finding in later.values():
        if finding.state == "open" or finding.port in left.get(finding.ip, ()):
            yield finding


def _inside(found: Iterator[AnyFinding], assignment: Assignment) -> Iterator[AnyFinding]:
    """nmap may tell of an address or, by a script, of a port that it was not asked for."""
    is_inside = lru_cache(maxsize=64)(lambda ip: _is_in(ip, assignment.addresses))
    for finding in found:
        if is_inside(finding.ip) and (isinstance(finding, HostFinding) or _was_asked(finding, assignment)):
            yield finding


def _was_asked(finding: Finding, assignment: Assignment) -> bool:
    ports = assignment.ports
    return (
        ports is None or finding.protocol != assignment.scan_type.protocol or ports.index_of(finding.port) is not None
    )


def _is_in(text: str, addresses: AddressSet) -> bool:
    try:
        return ipaddress.ip_address(text) in addresses
    except ValueError:
        return False

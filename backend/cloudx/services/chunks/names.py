"""The host names of what a chunk found, where its scan asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Protocol

from cloudx.domain.findings import Found, each
from cloudx.domain.scans import Scan

MAX_LOOKUPS = 4096  # addresses of one chunk; the others stay without a name


class NameLookup(Protocol):
    """Addresses to names."""

    def names_of(self, addresses: Iterable[str]) -> dict[str, str]:
        """Address to host name, of those that have one and told it within seconds; never raises."""
        ...


def names_of_found(scan: Scan, findings: Iterable[Found], lookup: NameLookup) -> dict[str, str]:
    """Names by address of the first MAX_LOOKUPS that were found and not asked for by a name; {} unless asked for."""
    if not scan.resolve:
        return {}
    found = dict.fromkeys(finding.ip for finding in each(findings) if finding.ip not in scan.host_names)
    return lookup.names_of(islice(found, MAX_LOOKUPS)) if found else {}

"""What people write as targets: addresses, CIDRs, ranges and host names, mixed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from .addresses import AddressSet, to_key
from .errors import InvalidInput, TooLarge

MAX_ENTRIES = 100_000
MAX_HOST_NAMES = 256

_REMEDY = (
    "Write an address (192.0.2.7), a CIDR (192.0.2.0/24), a range "
    "(192.0.2.1-20 or 192.0.2.1-192.0.3.9) or a host name (host.example.org)."
)
# RFC 1123 labels; a last label that is a number would be a misspelt address, never a name (resolvers read 0x7f.1).
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*(?!(?:\d+|0[xX][0-9A-Fa-f]*)\.?\Z){_LABEL}\.?\Z", re.ASCII)
_LOOKS_NUMERIC = re.compile(r"[0-9.:/-]+\Z")
_SEPARATORS = re.compile(r"[,\s]+")


@dataclass(frozen=True)
class Targets:
    """Parsed targets: literal addresses, and host names that still need resolving."""

    addresses: AddressSet
    host_names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.addresses) or bool(self.host_names)


def parse_targets(texts: str | Iterable[str], field: str = "target") -> Targets:
    """Read targets separated by comma, space or newline.

    Raises InvalidInput (naming `field` and the entry) or TooLarge.
    """
    entries = _split([texts] if isinstance(texts, str) else texts, field)
    ranges: list[tuple[int, int]] = []
    names: dict[str, None] = {}
    for entry in entries:
        found = _parse_range(entry, field)
        if found is not None:
            ranges.append(found)
        elif _HOST_NAME.match(entry) and not _LOOKS_NUMERIC.match(entry):
            names[entry.rstrip(".").lower()] = None
        else:
            raise _unreadable(entry, field)
    if len(names) > MAX_HOST_NAMES:
        raise TooLarge(f"{len(names)} host names in one scan; at most {MAX_HOST_NAMES}. Give addresses or split it.")
    return Targets(AddressSet.of(ranges), tuple(names))


def _split(texts: Iterable[str], field: str) -> list[str]:
    entries: list[str] = []
    for text in texts:
        entries.extend(filter(None, _SEPARATORS.split(text)))
        if len(entries) > MAX_ENTRIES:
            raise TooLarge(f"More than {MAX_ENTRIES} entries in {field}; use CIDRs or split the scan.")
    return entries


def _unreadable(entry: str, field: str) -> InvalidInput:
    shown = entry if len(entry) <= 60 else entry[:60] + "…"
    return InvalidInput(field, f"{shown!r} is not a target. {_REMEDY}", value=shown)


def _parse_range(entry: str, field: str) -> tuple[int, int] | None:
    """The inclusive key range an entry stands for, or None when it is not an address of any kind."""
    if "%" in entry:
        raise _unreadable(entry, field)
    if "/" in entry:
        return _parse_network(entry, field)
    try:
        key = to_key(ipaddress.ip_address(entry))
    except ValueError:
        return _parse_span(entry, field) if "-" in entry else None
    return key, key


def _parse_network(entry: str, field: str) -> tuple[int, int]:
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        raise _unreadable(entry, field) from None
    if "." in entry.partition("/")[2]:  # a netmask or host mask: legal to Python, a trap to people
        raise _unreadable(entry, field)
    return to_key(network.network_address), to_key(network.broadcast_address)


def _parse_span(entry: str, field: str) -> tuple[int, int] | None:
    left, _, right = entry.partition("-")
    try:
        first = ipaddress.ip_address(left)
    except ValueError:
        return None
    if first.version == 4 and right.isascii() and right.isdigit() and len(right) <= 3:
        right = f"{left.rpartition('.')[0]}.{right}"
    try:
        last = ipaddress.ip_address(right)
    except ValueError:
        raise _unreadable(entry, field) from None
    if first.version != last.version or int(last) < int(first):
        raise InvalidInput(field, f"{entry!r} is not a range: its end lies before its start. {_REMEDY}", value=entry)
    return to_key(first), to_key(last)

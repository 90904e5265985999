"""What people write as targets: addresses, CIDRs, ranges and host names, mixed."""

from __future__ import annotations

import ipaddress
import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import idna

from .addresses import Address, AddressSet, from_key, key_ranges, to_key
from .errors import InvalidInput, TooLarge

MAX_ENTRIES = 100_000
MAX_HOST_NAMES = 10_000
HEAD_BYTES = 2048

_REMEDY = (
    "Write an address (192.0.2.7), a CIDR (192.0.2.0/24), a range "
    "(192.0.2.1-20, 192.0.2.1-192.0.3.9, 192.0.2-3.1-254 or 192.0.2.*) or a host name (host.example.org)."
)
# RFC 1123 labels, and the underscore that names of machines have too; a last label that is a number would be a misspelt
# address, never a name (resolvers read 0x7f.1).
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*(?!(?:\d+|0[xX][0-9A-Fa-f]*)\.?\Z){_LABEL}\.?\Z", re.ASCII)
_LOOKS_NUMERIC = re.compile(r"[0-9.:/-]+\Z")
_SEPARATORS = re.compile(r"[,\s]+")
_COMMENT = re.compile(r"#[^\r\n]*")
_BYTE_ORDER_MARK = "\ufeff"
# An octet as nmap takes it (nmap(1), target specification): a number, *, 1-254, 1-, -9 or -.
_OCTET = re.compile(r"\*|\d{1,3}|\d{0,3}-\d{0,3}", re.ASCII)
_FULL_OCTET = (0, 255)


@dataclass(frozen=True)
class Targets:
    """Parsed targets: literal addresses, and host names that still need resolving."""

    addresses: AddressSet
    host_names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.addresses) or bool(self.host_names)


def is_host_name(text: str) -> bool:
    """True for what a host may be called (RFC 1123, and underscores)."""
    return _HOST_NAME.match(text) is not None


def parse_address(text: str, field: str) -> Address:
    """One address; a mapped one is its IPv4 address, as everywhere. Raises InvalidInput naming `field`."""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        address = None
    if address is None or "%" in text:  # a scope id
        shown = text[:60]
        raise InvalidInput(field, f"{shown!r} is not an address. Write one, such as 192.0.2.7 or 2001:db8::7.")
    return from_key(to_key(address))


def head_of(text: str) -> str:
    """The beginning of a text of targets, at most HEAD_BYTES of UTF-8, cut between two of them where that goes."""
    encoded = text.encode()
    if len(encoded) <= HEAD_BYTES:
        return text
    head = encoded[:HEAD_BYTES].decode(errors="ignore")
    cuts = [match.start() for match in _SEPARATORS.finditer(head)]
    return head[: cuts[-1]] if cuts and cuts[-1] > 0 else head


def normalised(texts: Iterable[str], field: str = "target") -> str:
    """The same targets as one text: each entry once, commas between, no comments. Raises TooLarge.

    What somebody pads a list with is not kept: each reader of the scan would be sent it.
    """
    return ",".join(dict.fromkeys(_split(texts, field)))


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
            ranges += found
        else:
            names[_host_name(entry, field)] = None
    if len(names) > MAX_HOST_NAMES:
        raise TooLarge(f"{len(names)} host names in one scan; at most {MAX_HOST_NAMES}. Give addresses or split it.")
    return Targets(AddressSet.of(ranges), tuple(names))


def _host_name(entry: str, field: str) -> str:
    """In lower case, an international name in its ASCII form (IDNA 2008, RFC 5891)."""
    name = entry
    if not entry.isascii():
        try:
            name = idna.encode(entry, uts46=True).decode()
        except idna.IDNAError:
            raise _unreadable(entry, field) from None
    if not _HOST_NAME.match(name) or _LOOKS_NUMERIC.match(name):
        raise _unreadable(entry, field)
    return name.rstrip(".").lower()


def _split(texts: Iterable[str], field: str) -> list[str]:
    """The entries of lists as people keep them: a comment from # to the end of its line, a byte-order mark in front."""
    entries: list[str] = []
    for text in texts:
        entries.extend(filter(None, _SEPARATORS.split(_COMMENT.sub("", text.removeprefix(_BYTE_ORDER_MARK)))))
        if len(entries) > MAX_ENTRIES:
            raise TooLarge(f"More than {MAX_ENTRIES} entries in {field}; use CIDRs or split the scan.")
    return entries


def _unreadable(entry: str, field: str) -> InvalidInput:
    shown = entry if len(entry) <= 60 else entry[:60] + "…"
    return InvalidInput(field, f"{shown!r} is not a target. {_REMEDY}", value=shown)


def _parse_range(entry: str, field: str) -> list[tuple[int, int]] | None:
    """The inclusive key ranges an entry stands for, or None when it is not an address of any kind."""
    if "%" in entry or entry.startswith("-"):  # a scope id; an option
        raise _unreadable(entry, field)
    if "/" in entry:
        return _parse_network(entry, field)
    try:
        address = ipaddress.ip_address(entry)
    except ValueError:
        octets = entry.split(".")
        if len(octets) == 4 and all(map(_OCTET.fullmatch, octets)):
            return _parse_octets(octets, entry, field)
        return _parse_span(entry, field) if "-" in entry else None
    return key_ranges(address, address)


def _parse_octets(octets: list[str], entry: str, field: str) -> list[tuple[int, int]]:
    """nmap's octet ranges: every combination, joined where the last octets are whole."""
    spans = [_parse_octet(octet, entry, field) for octet in octets]
    whole = 0
    while whole < 3 and spans[3 - whole] == _FULL_OCTET:
        whole += 1
    *outer, (low, high) = spans[: 4 - whole]
    count = math.prod(last - first + 1 for first, last in outer)
    if count > MAX_ENTRIES:
        raise TooLarge(f"{entry!r} has {count:,} separate ranges; at most {MAX_ENTRIES:,}. Use CIDRs.")
    ranges = []
    for start in itertools.product(*(range(first, last + 1) for first, last in outer)):
        base = 0
        for octet in start:
            base = base << 8 | octet
        first, last = (base << 8 | low) << 8 * whole, ((base << 8 | high) + 1 << 8 * whole) - 1
        ranges.append((first, last))
    return ranges


def _parse_octet(octet: str, entry: str, field: str) -> tuple[int, int]:
    if octet == "*":
        return _FULL_OCTET
    first, dash, last = octet.partition("-")
    low = int(first or 0)
    high = int(last or 255) if dash else low
    has_leading_zero = any(len(number) > 1 and number[0] == "0" for number in (first, last))
    if not low <= high <= 255 or has_leading_zero:
        raise _unreadable(entry, field)
    return low, high


def _parse_network(entry: str, field: str) -> list[tuple[int, int]]:
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        raise _unreadable(entry, field) from None
    if "." in entry.partition("/")[2]:  # a netmask or host mask: legal to Python, a trap to people
        raise _unreadable(entry, field)
    return key_ranges(network.network_address, network.broadcast_address)


def _parse_span(entry: str, field: str) -> list[tuple[int, int]] | None:
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
    return key_ranges(first, last)

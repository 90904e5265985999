"""Hosts out of nmap's XML that is not well formed: each host by itself, without what a parser cannot read.

Newer nmap than 7.93 writes control bytes of a service's answer as they came; a killed run ends in the middle of a host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

_READ_BYTES = 1 << 20
_MAX_HOST_BYTES = 64 << 20  # of one host; a longer one is left out, and the hosts after it are read
_MAX_VALUE_BYTES = 64 << 10  # of one attribute; far over what is kept of any
_HOST = re.compile(rb"<host[ >].*?</host>", re.DOTALL)
# Not allowed in XML 1.0, as a byte or as a reference to one.
_CONTROL = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|&#(?:0*(?:[0-8]|1[124-9]|2\d|3[01])|x0*(?:[0-8bcBC]|[eEfF]|1[0-9a-fA-F]));"
)
_LONG_VALUE = re.compile(rb'="([^"]{%d,})"' % _MAX_VALUE_BYTES)
# Structured script output may nest as deep as a target likes; the script's text says the same.
_TABLES = re.compile(rb"</?(?:table|elem)(?: [^>]*)?/?>[^<]*")


def repaired_hosts(file: Path) -> Iterator[etree._Element]:
    """Every host that is whole, in the file's order."""
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
    for text in _host_texts(file):
        element = etree.fromstring(_repaired(text), parser)
        if element is not None:
            yield element


def _host_texts(file: Path) -> Iterator[bytes]:
    kept = b""
    with open(file, "rb") as opened:
        while block := opened.read(_READ_BYTES):
            kept += block
            end = 0
            for host in _HOST.finditer(kept):
                end = host.end()
                yield host[0]
            kept = kept[end:]
            if len(kept) > _MAX_HOST_BYTES:
                kept = kept[-_READ_BYTES:]


def _repaired(text: bytes) -> bytes:
    readable = text.decode("utf-8", "replace").encode()
    return _LONG_VALUE.sub(_shortened, _TABLES.sub(b"", _CONTROL.sub(b"", readable)))


def _shortened(value: re.Match[bytes]) -> bytes:
    """Cut outside of a character and of an escape."""
    cut = value[1][:_MAX_VALUE_BYTES].decode("utf-8", "ignore").encode()
    whole, ampersand, tail = cut.rpartition(b"&")
    return b'="%s"' % (whole if ampersand and b";" not in tail else cut)

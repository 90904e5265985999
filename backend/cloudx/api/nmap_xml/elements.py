"""XML elements as text: every value is escaped here, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from xml.sax.saxutils import escape

# What XML 1.0 cannot hold, even escaped; services send it in their banners.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A reader turns bare line breaks and tabs of an attribute into spaces, and nmap's readers expect double quotes.
_IN_ATTRIBUTE = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
_SHORT = 64


def start(name: str, attributes: Mapping[str, object]) -> str:
    """A start tag; attributes that are None are left out."""
    pairs = [f' {key}="{_value(value)}"' for key, value in attributes.items() if value is not None]
    return f"<{name}{''.join(pairs)}>"


def element(name: str, attributes: Mapping[str, object], *inside: str) -> str:
    """An element around others, which are whole already."""
    head = start(name, attributes)
    return f"{head}{''.join(inside)}</{name}>" if inside else f"{head[:-1]}/>"


def text(value: str) -> str:
    """The text within an element."""
    return escape(xml_text(value), {"\r": "&#13;"})


def xml_text(value: str) -> str:
    """The text with what XML cannot hold made visible: a control character as nmap writes it, `\\x1B`."""
    return _NOT_XML.sub(_visible, value)


def _visible(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02X}" if found[0] < " " else "\ufffd"


def _value(value: object) -> str:
    shown = str(value)
    return _kept_value(shown) if len(shown) <= _SHORT else _escaped(shown)


def _escaped(value: str) -> str:
    return escape(xml_text(value), _IN_ATTRIBUTE)


_kept_value = lru_cache(maxsize=2048)(_escaped)  # most are the same few words

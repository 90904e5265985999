"""What an address in a setting must look like."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

# Lower case, as browsers send it; no path, no pattern.
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII
)
DATABASE_DRIVERS = ("postgres", "postgresql", "postgresql+psycopg2", "sqlite", "sqlite+pysqlite")


def is_loopback(bind: str) -> bool:
    """True for an address, or the name localhost, that only this machine reaches."""
    if bind == "localhost":
        return True
    try:
        return ipaddress.ip_address(bind).is_loopback
    except ValueError:
        return False


def is_database_url(url: str) -> bool:
    """True for the two databases there are, by the drivers that are installed; a port is a number."""
    driver, separator, rest = url.partition("://")
    if not separator or driver not in DATABASE_DRIVERS:
        return False
    address = re.split(r"[/?]", rest.rpartition("@")[2], maxsplit=1)[0]
    return re.search(r":(?!\d+\Z)[^\]]*\Z", address) is None  # what follows the host's colon is a number


def is_web_url(url: str) -> bool:
    """True for a host and, if one is given, a port that exists."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of the port, or of an IPv6 address
        return False


def why_no_origin(text: str) -> str | None:
    """What is wrong with an origin as a browser sends it (RFC 6454), with the remedy; None where nothing is."""
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return "write scheme, host and port alone, in lower case: https://app.example.org or http://localhost:3000"
    if not is_web_url(text):
        return "there is no such port or address"
    if text.endswith({"http": ":80", "https": ":443"}[match["scheme"]]):
        return "leave out the port that is usual for the scheme, as browsers do"
    return None


def is_redis_url(url: str) -> bool:
    """True for redis:// and rediss:// with a host, and at most a database's number behind it."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("redis", "rediss") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # of the port, or of an IPv6 address
        return False
    return bool(known) and re.fullmatch(r"/?|/\d{1,4}", parts.path) is not None and not (parts.query or parts.fragment)

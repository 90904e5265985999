"""The search over all scans."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from cloudx.domain.addresses import Network
from cloudx.domain.errors import InvalidInput
from cloudx.domain.port_set import PortSet
from cloudx.services.ledger.sightings import Query

from .common import Moment, Parameters, PlainText, no_controls
from .results import FindingItem

MOST_RANGES = 50
Part = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(no_controls)]


class FindingsQuery(Parameters):
    """Which findings, and in which form; only json comes in pages. All filters hold together."""

    ip: PlainText | None = Field(None, description="One address", examples=["192.0.2.7"])
    cidr: PlainText | None = Field(None, description="A network", examples=["192.0.2.0/24"])
    port: PlainText | None = Field(
        None, description="Ports as in a scan, of any protocol; 0 is what a ping found", examples=["80,443"]
    )
    protocol: Literal["tcp", "udp", "sctp", "icmp"] | None = Field(None, description="`tcp`, `udp`, `sctp` or `icmp`")
    service: Part | None = Field(None, description="A part of the service's name, in small or capital letters")
    product: Part | None = Field(None, description="A part of the product's name, likewise", examples=["nginx"])
    hostname: Part | None = Field(None, description="A part of the host's name, likewise", examples=["example"])
    since: Moment | None = Field(None, description="Observed at this moment or later, with its offset")
    until: Moment | None = Field(None, description="Observed at this moment or before")
    scan: PlainText | None = Field(None, description="Found by this scan; with latest, and by none after it")
    latest: bool = Field(True, description="One row for each address, protocol and port: the newest, if still open")
    format: Literal["json", "ndjson", "csv"] = Field("json", description="`json`, `ndjson` or `csv`")
    cursor: str | None = Field(None, max_length=128, description="next_cursor of the page before")
    limit: int = Field(100, ge=1, le=5000, description="Findings of a page: 100 by default, 5,000 at most")

    def asked(self) -> Query:
        """What is asked for. Raises InvalidInput."""
        if self.since and self.until and self.since > self.until:
            raise InvalidInput("until", "until lies before since, so nothing can match. Swap them.")
        return Query(
            latest=self.latest,
            networks=tuple(self._networks()),
            ports=_ports(self.port),
            protocol=self.protocol,
            service=self.service,
            product=self.product,
            hostname=self.hostname,
            scan_id=_scan_id(self.scan),
            since=self.since,
            until=self.until,
        )

    def _networks(self) -> list[Network]:
        networks: list[Network] = []
        if self.ip is not None:
            networks.append(_network("ip", self.ip))
        if self.cidr is not None:
            networks.append(_network("cidr", self.cidr))
        return networks


class FoundItem(FindingItem):
    """A finding of the search; the two times are there with `latest` alone."""

    first_seen: str | None = Field(None, description="When a scan that is still kept saw the port first")
    last_seen: str | None = Field(None, description="As observed_at")


class FoundPage(BaseModel):
    """One page, newest first; any depth costs the same."""

    items: list[FoundItem]
    next_cursor: str | None


def _network(field: str, text: str) -> Network:
    shown = text[:60]
    try:
        if field == "ip":
            address = ipaddress.ip_address(text.strip())
            mapped = address.ipv4_mapped if address.version == 6 else None
            return ipaddress.ip_network(mapped or _without_zone(address))
        if "/" not in text:
            raise ValueError
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        pass
    if field == "ip":
        raise InvalidInput(field, f"{shown!r} is not one IPv4 or IPv6 address. A network goes into cidr.", value=shown)
    raise InvalidInput(field, f"{shown!r} is not a network. Write it as 192.0.2.0/24 or 2001:db8::/48.", value=shown)


def _without_zone(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """A finding has no zone (`%eth0`), so neither may the question. Raises ValueError."""
    if "%" in str(address):
        raise ValueError
    return str(address)


def _ports(text: str | None) -> tuple[tuple[int, int], ...]:
    if text is None:
        return ()
    if text.strip() == "0":
        return ((0, 0),)
    ports = PortSet.parse(text, "port")
    if ports.udp_ranges:
        raise InvalidInput("port", "Name the protocol by protocol=udp, not by U: before the ports.")
    if not ports.ranges:
        raise InvalidInput("port", "No port is named. Write 80, 80,443 or 1-1000, or leave it out.")
    if len(ports.ranges) > MOST_RANGES:
        raise InvalidInput("port", f"{len(ports.ranges)} separate ports or ranges; ask for {MOST_RANGES} at the most.")
    return ports.ranges


def _scan_id(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(UUID(text))
    except ValueError:
        raise InvalidInput("scan", f"{text[:60]!r} is not a scan's id. GET /api/scans lists them.") from None

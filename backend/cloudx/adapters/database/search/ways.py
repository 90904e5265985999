"""The ways that lead to what is asked for: by time, by scan, by kind, by host name, by network."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, bindparam, text

from cloudx.adapters.database.connection.column_types import IpAddress
from cloudx.domain.addresses import Network
from cloudx.services.ledger.sightings import Query

from .looking import Texts, Way, like, port_conditions, text_values
from .statements import IPV4_BLOCK, IPV6_BLOCK

LISTED_KINDS = 1_000
STREAMED_HOSTNAMES = 64
LISTED_HOSTNAMES = 3_000
LISTED_BLOCKS = 64
FEW_ROWS = 20_000  # counted and sorted in some milliseconds


class Ways:
    """The ways of a query; what it costs to know them is spent when the first look, along time, was in vain."""

    def __init__(self, connection: Connection, query: Query) -> None:
        self._connection = connection
        self._query = query
        self._is_postgresql = connection.dialect.name == "postgresql"
        self.by_time = Way("scan_id", (query.scan_id,)) if query.scan_id else Way()
        self.texts = Texts()

    @property
    def lead_nowhere(self) -> bool:
        """True if nothing can match."""
        return self.texts.kinds == () or self.texts.hostnames == ()

    def short(self) -> Way | None:
        """The addresses themselves, where there are few rows of them."""
        return next((Way(is_short=True) for network in self._query.networks if self._has_few_rows(network)), None)

    def others(self) -> list[Way]:
        """Those besides time, that which is worth most first."""
        query = self._query
        ways: list[Way] = []
        if query.hostname and (ids := self._hostnames()) is not None:
            self.texts = self.texts._replace(hostnames=ids)
            ways.append(Way("hostname_id", ids, is_short=len(ids) > STREAMED_HOSTNAMES))
        is_by_kind = query.ports or query.protocol or query.service or query.product
        if is_by_kind and (ids := self._kinds()) is not None:
            self.texts = self.texts._replace(kinds=ids)
            ways.append(Way("kind_id", ids))
        for network in query.networks:
            if blocks := tuple(_blocks_of(network)):
                ways.append(Way("block", blocks))
        return ways

    def _has_few_rows(self, network: Network) -> bool:
        some = f"SELECT 1 FROM sightings WHERE ip BETWEEN :first AND :last LIMIT {FEW_ROWS + 1}"  # noqa: S608
        count = text(f"SELECT count(*) FROM ({some}) counted")  # noqa: S608
        ends = (bindparam("first", type_=IpAddress()), bindparam("last", type_=IpAddress()))
        values = {"first": str(network.network_address), "last": str(network.broadcast_address)}
        return int(self._connection.execute(count.bindparams(*ends), values).scalar_one()) <= FEW_ROWS

    def _kinds(self) -> tuple[int, ...] | None:
        query = self._query
        conditions = [*port_conditions(query, "d"), *(["d.protocol = :protocol"] if query.protocol else [])]
        conditions += [like(f"d.{name}", name) for name in ("service", "product") if getattr(query, name)]
        values = {"protocol": query.protocol} if query.protocol else {}
        values |= {name: value for name, value in text_values(query, self._is_postgresql) if name != "hostname"}
        return self._ids(f"finding_kinds d WHERE {' AND '.join(conditions)}", values, LISTED_KINDS)

    def _hostnames(self) -> tuple[int, ...] | None:
        values = {name: value for name, value in text_values(self._query, self._is_postgresql) if name == "hostname"}
        return self._ids(f"found_hostnames d WHERE {like('d.name', 'hostname')}", values, LISTED_HOSTNAMES)

    def _ids(self, source: str, values: dict[str, Any], most: int) -> tuple[int, ...] | None:
        query = text(f"SELECT d.id FROM {source} LIMIT {most + 1}")  # noqa: S608
        ids = tuple(self._connection.execute(query, values).scalars())
        return None if len(ids) > most else ids


def _blocks_of(network: Network) -> Iterator[str]:
    """The blocks that a network has or lies in; none where they are too many."""
    length = IPV4_BLOCK if network.version == 4 else IPV6_BLOCK
    if network.prefixlen >= length:
        yield str(ipaddress.ip_network((network.network_address, length), strict=False).network_address)
    elif 1 << (length - network.prefixlen) <= LISTED_BLOCKS:
        yield from (str(block.network_address) for block in network.subnets(new_prefix=length))

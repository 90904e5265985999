"""Two scans' findings, window by window."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, and_, select, text, union_all
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import pack_ip
from cloudx.adapters.database.repositories.chunk_rows import span_of
from cloudx.adapters.database.schema.tables import chunks, findings, scans
from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import ChunkSpan, ChunkState
from cloudx.domain.diff.changes import Change
from cloudx.domain.proof.tarpits import ANSWERS_ALL
from cloudx.services.ledger.diffs import Compared, Diffs, FindingPair, FindingPairs, Gone, Window, WindowCount
from cloudx.services.ledger.records import FindingKey, FindingRow

from .joined import Shape, count_pairs, select_ends, select_pairs, values_of, values_of_ends

# Without the scan's id, which is known: a driver takes longer for it than for all others. The first four as in Gone.
_FIELDS = tuple(field.name for field in fields(FindingRow) if field.name != "scan_id")
_WIDTH = len(_FIELDS)
_SHORT_TEXT = 200  # most of what masscan and zmap add is short, and the same for many ports
# Whatever the statistics know: a window is a short piece of the key's index, never all of the table.
_OFF = ("enable_seqscan", "jit")
_ALONG_THE_KEY = text("; ".join(f"SET LOCAL {setting} = off" for setting in _OFF))


class _Pairs(FindingPairs):
    """Implements FindingPairs on rows as the database gave them."""

    def __init__(self, compared: Compared, rows: Sequence[Sequence[Any]]) -> None:
        self._compared = compared
        self._rows = rows

    @property
    @override
    def gone(self) -> list[Gone]:
        rows = (row for row in self._rows if row[_WIDTH] is None)
        return [Gone(row[0], row[1], row[2], row[3], bool(row[-1])) for row in rows]

    @override
    def __iter__(self) -> Iterator[FindingPair]:
        before_id, after_id = self._compared.before_id, self._compared.after_id
        for row in self._rows:
            values = tuple(row)
            before = None if values[0] is None else _finding(before_id, values[:_WIDTH])
            after = None if values[_WIDTH] is None else _finding(after_id, values[_WIDTH:-1])
            key = values[:3] if before is not None else values[_WIDTH : _WIDTH + 3]
            yield FindingPair(key, before, after)


class SqlDiffs(Diffs):
    """Implements Diffs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_postgresql = connection.dialect.name == "postgresql"
        self._goes_along_the_key = False

    @override
    def window(self, compared: Compared, after: FindingKey | None, rows: int) -> Window:
        self._go_along_the_key()
        rows_of = self._connection.execute(select_ends(after is not None), values_of_ends(compared, after, rows))
        ends = [(end.ip, end.protocol, end.port) for end in rows_of]
        return Window(after, min(ends, key=_place, default=None))

    @override
    def pairs(self, compared: Compared, window: Window, changes: Collection[Change]) -> _Pairs:
        self._go_along_the_key()
        query = select_pairs(self._shape(compared, window), frozenset(changes), _FIELDS)
        return _Pairs(compared, self._connection.execute(query, values_of(compared, window)).all())

    @override
    def count(self, compared: Compared, window: Window) -> WindowCount:
        self._go_along_the_key()
        query = count_pairs(self._shape(compared, window))
        counts = dict.fromkeys(("opened", "changed", "doubtful", "unchanged"), 0)
        gone: list[Gone] = []
        for kind, *key, count in self._connection.execute(query, values_of(compared, window)).all():
            if kind == "gone":
                gone.append(Gone(*key))
            else:
                counts[kind] = count
        return WindowCount(**counts, gone=tuple(gone))

    def _go_along_the_key(self) -> None:
        """Once in a transaction."""
        if self._is_postgresql and not self._goes_along_the_key:
            self._connection.execute(_ALONG_THE_KEY)
            self._goes_along_the_key = True

    def _shape(self, compared: Compared, window: Window) -> Shape:
        return Shape.of(compared, window, self._is_postgresql)

    @override
    def folded(self, scan_id: str, first_ip: str, last_ip: str) -> AddressSet:
        """Its verdicts in that range, and those of the prefixes that begin before it."""
        mine = and_(findings.c.scan_id == scan_id, findings.c.state == ANSWERS_ALL)
        inside = select(findings.c.extra).where(mine, findings.c.ip.between(first_ip, last_ip))
        around = select(findings.c.extra).where(mine, findings.c.ip.in_(_networks_around(first_ip)))
        verdicts = self._connection.execute(union_all(inside, around)).scalars()
        return AddressSet.of_networks(ipaddress.ip_network(json.loads(extra)["prefix"]) for extra in verdicts)

    @override
    def gaps(self, scan_id: str, after: int, limit: int) -> list[ChunkSpan]:
        is_proven = and_(
            chunks.c.state == ChunkState.DONE.value, chunks.c.excluded_units == 0, chunks.c.failed_units == 0
        )
        span = [chunks.c[name] for name in ("number", "address_start", "address_count", "port_start", "port_count")]
        query = (
            select(*span)
            .where(chunks.c.scan_id == scan_id, chunks.c.number > after, ~is_proven)
            .order_by(chunks.c.number)
            .limit(limit)
        )
        return [span_of(row) for row in self._connection.execute(query).mappings()]

    @override
    def are_whole(self, scan_ids: Collection[str]) -> bool:
        """A removal begins with the first chunk."""
        first = and_(chunks.c.scan_id == scans.c.id, chunks.c.number == 0)
        query = select(scans.c.id, scans.c.chunks_total, chunks.c.number).outerjoin(chunks, first)
        rows = self._connection.execute(query.where(scans.c.id.in_(scan_ids)))
        return {row.id for row in rows if row.number == 0 or row.chunks_total == 0} >= set(scan_ids)


def _finding(scan_id: str, values: tuple[Any, ...]) -> FindingRow:
    *columns, extra = values
    return FindingRow(scan_id, *[*columns, _extra(extra)])


def _extra(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    return _short_extra(text) if len(text) < _SHORT_TEXT else json.loads(text)


@lru_cache(maxsize=1024)
def _short_extra(text: str) -> dict[str, Any]:
    return json.loads(text)  # type: ignore[no-any-return]


def _place(key: FindingKey) -> tuple[bytes, str, int]:
    """Sorts as both databases sort keys."""
    return pack_ip(key[0]), key[1], key[2]


def _networks_around(ip: str) -> Iterator[str]:
    """The first address of each prefix that holds this one."""
    address = ipaddress.ip_address(ip)
    for length in range(address.max_prefixlen):
        yield str(ipaddress.ip_network(f"{ip}/{length}", strict=False).network_address)

"""Two scans' findings, window by window."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, and_, case, exists, func, or_, select, text, union_all
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import pack_ip
from cloudx.adapters.database.repositories.chunk_rows import span_of
from cloudx.adapters.database.schema.tables import chunks, findings, scans
from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import ChunkSpan, ChunkState
from cloudx.domain.diff.changes import Change
from cloudx.domain.proof.tarpits import ANSWERS_ALL
from cloudx.services.ledger.diffs import Compared, Diffs, FindingPair, Gone, Window, WindowCount
from cloudx.services.ledger.records import FindingKey, FindingRow

from . import joined as pair_of
from .joined import beyond, joined

_FIELDS = [field.name for field in fields(FindingRow)]
_WIDTH = len(_FIELDS)
_KEY, _KEY_AFTER = slice(1, 4), slice(_WIDTH + 1, _WIDTH + 4)  # ip, protocol, port
# Whatever the statistics know: a window is a short piece of the key's index, never all of the table.
_OFF = ("enable_seqscan", "enable_bitmapscan", "jit")
_ALONG_THE_KEY = text("; ".join(f"SET LOCAL {setting} = off" for setting in _OFF))


class SqlDiffs(Diffs):
    """Implements Diffs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_postgresql = connection.dialect.name == "postgresql"

    @override
    def window(self, compared: Compared, after: FindingKey | None, rows: int) -> Window:
        if self._is_postgresql:
            self._connection.execute(_ALONG_THE_KEY)
        ends = [self._key_at(scan_id, after, rows) for scan_id in (compared.before_id, compared.after_id)]
        return Window(after, min((end for end in ends if end is not None), key=_place, default=None))

    def _key_at(self, scan_id: str, after: FindingKey | None, rows: int) -> FindingKey | None:
        """The key of the finding so many behind; None where there are fewer."""
        key = [findings.c.ip, findings.c.protocol, findings.c.port]
        query = select(*key).where(findings.c.scan_id == scan_id, beyond(findings, after)).order_by(*key)
        row = self._connection.execute(query.offset(rows - 1).limit(1)).first()
        return None if row is None else (row.ip, row.protocol, row.port)

    @override
    def pairs(self, compared: Compared, window: Window, changes: Collection[Change]) -> list[FindingPair]:
        pair = joined(compared, window, self._is_postgresql)
        wanted = {
            Change.OPENED: pair_of.is_opened(pair),
            Change.CLOSED: pair_of.is_gone(pair),
            Change.NOT_OBSERVED: pair_of.is_gone(pair),
            Change.CHANGED: or_(pair_of.is_changed(pair, compared), pair_of.is_doubtful(pair, compared)),
        }
        shown = [pair.c[f"{side}_{name}"] for side in ("before", "after") for name in _FIELDS]
        query = (
            select(*shown, pair_of.host_seen(pair, compared).label("host_seen"))
            .where(or_(*(wanted[change] for change in changes)))
            .order_by(*pair_of.key_of(pair))
        )
        return [_finding_pair(tuple(row)) for row in self._connection.execute(query)]

    @override
    def count(self, compared: Compared, window: Window) -> WindowCount:
        """The keys that are gone one by one, all others in groups."""
        pair = joined(compared, window, self._is_postgresql)
        kind = case(
            (pair_of.is_opened(pair), "opened"),
            (pair_of.is_gone(pair), "gone"),
            (pair_of.is_changed(pair, compared), "changed"),
            (pair_of.is_doubtful(pair, compared), "doubtful"),
            else_="unchanged",
        )
        names = [f"before_{name}" for name in Gone._fields if name != "host_seen"]
        of_gone = [case((pair_of.is_gone(pair), pair.c[name])).label(name) for name in names]
        rows = select(kind.label("kind"), *of_gone, pair_of.host_seen(pair, compared).label("host_seen")).subquery()
        query = select(rows, func.count()).group_by(*rows.c)
        counts = dict.fromkeys(("opened", "changed", "doubtful", "unchanged"), 0)
        gone: list[Gone] = []
        for group, *key, count in self._connection.execute(query):
            if group == "gone":
                gone.append(Gone(*key))
            else:
                counts[group] = count
        return WindowCount(**counts, gone=tuple(sorted(gone, key=_place)))

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
        first = exists().where(chunks.c.scan_id == scans.c.id, chunks.c.number == 0)
        query = select(func.count()).where(scans.c.id.in_(scan_ids), or_(scans.c.chunks_total == 0, first))
        return self._connection.execute(query).scalar_one() == len(set(scan_ids))


def _finding_pair(values: Sequence[Any]) -> FindingPair:
    before, after = _finding(values[:_WIDTH]), _finding(values[_WIDTH : 2 * _WIDTH])
    key = tuple(values[_KEY] if before is not None else values[_KEY_AFTER])
    return FindingPair(key, before, after, bool(values[-1]))


def _finding(values: Sequence[Any]) -> FindingRow | None:
    if values[0] is None:
        return None
    columns = list(values)
    columns[-1] = json.loads(columns[-1]) if columns[-1] else {}
    return FindingRow(*columns)


def _place(key: FindingKey | Gone) -> tuple[bytes, str, int]:
    """Sorts as both databases sort keys."""
    return pack_ip(key[0]), key[1], key[2]


def _networks_around(ip: str) -> Iterator[str]:
    """The first address of each prefix that holds this one."""
    address = ipaddress.ip_address(ip)
    for length in range(address.max_prefixlen):
        yield str(ipaddress.ip_network(f"{ip}/{length}", strict=False).network_address)

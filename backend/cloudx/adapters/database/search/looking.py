"""One look along one way: so many of its rows, newest first, and those of them that fit.

What a user wrote goes in as a value; what is written into a statement is names of ours, and numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, TextClause, bindparam, column, text
from sqlalchemy.types import TypeEngine

from cloudx.adapters.database.connection.column_types import IpAddress, RecordId, UtcDateTime
from cloudx.services.ledger.sightings import Place, Query

_ORDER = "{0}.observed_at DESC, {0}.id DESC"
_TYPES: dict[str, TypeEngine[Any]] = {
    "scan_id": RecordId(), "since": UtcDateTime(), "until": UtcDateTime(), "after_at": UtcDateTime(),
}  # fmt: skip


class Way(NamedTuple):
    """Rows in order of time: all of them, or those with one of these values in a column."""

    column: str | None = None
    values: tuple[int | str, ...] = ()
    is_short: bool = False  # so few rows that they are sorted


class Texts(NamedTuple):
    """What is known of the texts that are asked for: the ids that match, None where they are too many to list."""

    kinds: tuple[int, ...] | None = None
    hostnames: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Look:
    """What is looked for, along which way, and how much of it is wanted."""

    query: Query
    texts: Texts
    way: Way
    after: Place | None
    wanted: int


class Seen(NamedTuple):
    """What fits, newest first, and how many rows the way had within the budget."""

    places: list[Place]
    rows: int

    def is_enough(self, wanted: int, budget: int) -> bool:
        """True if the page is full, or the way has come to its end."""
        return len(self.places) == wanted or self.rows < budget


def look(connection: Connection, what: Look, budget: int | None) -> Seen:
    """Look at so many rows of a way; without a budget at all of them."""
    is_postgresql = connection.dialect.name == "postgresql"
    sql = "".join(_Sql(what, is_postgresql, budget is not None).parts())
    values = dict(_values(what, is_postgresql)) | ({"budget": budget} if budget is not None else {})
    *hits, (count, _) = connection.execute(_statement(sql, values), values).all()
    return Seen([Place(at, number) for number, at in hits], -count)


def find(connection: Connection, what: Look) -> list[Place]:
    """What fits, along the way that the database itself takes for the best."""
    is_postgresql = connection.dialect.name == "postgresql"
    values = dict(_values(what, is_postgresql))
    sql = _Sql(what, is_postgresql, is_bounded=False).as_one()
    return [Place(at, number) for number, at in connection.execute(_statement(sql, values), values)]


def _statement(sql: str, names: Iterable[str]) -> Any:
    binds = [bindparam(name, type_=_type_of(name)) for name in names if _type_of(name) is not None]
    clause: TextClause = text(sql).bindparams(*binds)
    return clause.columns(column("id", BigInteger()), column("observed_at", UtcDateTime()))


def _type_of(name: str) -> TypeEngine[Any] | None:
    if name.startswith(("first_ip", "last_ip", "block")):
        return IpAddress()
    return _TYPES.get(name)


@dataclass(frozen=True)
class _Sql:
    """The statement in parts."""

    what: Look
    is_postgresql: bool
    is_bounded: bool

    def parts(self) -> Iterator[str]:
        bound = " LIMIT :budget" if self.is_bounded else ""
        newest = f"{self._source()} ORDER BY {_ORDER.format('s')}{bound}"
        yield f"WITH looked AS MATERIALIZED (SELECT s.* FROM {newest}), "  # noqa: S608
        yield "hits AS (SELECT s.id, s.observed_at FROM looked s"
        if rest := list(self._rest()):
            yield f" WHERE {' AND '.join(rest)}"
        yield f" ORDER BY {_ORDER.format('s')} LIMIT :wanted) "
        yield "SELECT id, observed_at FROM hits UNION ALL SELECT -count(*), NULL FROM looked"

    def as_one(self) -> str:
        """All conditions at once."""
        conditions = [f"s.is_latest IN ({', '.join(self._states())})", *self._bounds("s"), *self._rest()]
        where = f"sightings s WHERE {' AND '.join(conditions)}"
        return f"SELECT s.id, s.observed_at FROM {where} ORDER BY {_ORDER.format('s')} LIMIT :wanted"  # noqa: S608

    def _source(self) -> str:
        way, states = self.what.way, self._states()
        if way.is_short or not self.is_bounded:
            inside = [f"s.is_latest IN ({', '.join(states)})", *self._bounds("s"), *self._of_way()]
            return f"sightings s WHERE {' AND '.join(inside)}"
        tables, conditions = [f"({' UNION ALL '.join(f'SELECT {one} AS is_latest' for one in states)}) v"], []
        if way.column is not None:
            tables.append(f"(VALUES {', '.join(f'({name})' for name in self._value_names())}) k")
            conditions.append(f"t.{way.column} = k.column1")
        conditions += ["t.is_latest = v.is_latest", *self._bounds("t")]
        stream = f"FROM sightings t WHERE {' AND '.join(conditions)} ORDER BY {_ORDER.format('t')} LIMIT :budget"
        if self.is_postgresql:
            return f"{' CROSS JOIN '.join(tables)} CROSS JOIN LATERAL (SELECT t.* {stream}) s"
        return f"{' CROSS JOIN '.join(tables)} CROSS JOIN sightings s WHERE s.id IN (SELECT t.id {stream})"

    def _states(self) -> list[str]:
        yes, no = ("true", "false") if self.is_postgresql else ("1", "0")
        return [yes] if self.what.query.latest else [yes, no]

    def _of_way(self) -> Iterator[str]:
        way = self.what.way
        if way.column is not None:
            yield f"s.{way.column} IN ({', '.join(self._value_names())})"
        elif way.is_short:
            yield from self._networks()

    def _value_names(self) -> list[str]:
        way = self.what.way
        if way.column == "block":
            names = [f":block_{number}" for number in range(len(way.values))]
            return [f"CAST({name} AS inet)" for name in names] if self.is_postgresql else names
        if way.column == "scan_id":
            return ["CAST(:scan_id AS uuid)"] if self.is_postgresql else [":scan_id"]
        return [str(int(value)) for value in way.values]

    def _bounds(self, table: str) -> Iterator[str]:
        query = self.what.query
        if query.since is not None:
            yield f"{table}.observed_at >= :since"
        if query.until is not None:
            yield f"{table}.observed_at <= :until"
        if self.what.after is not None:
            yield f"({table}.observed_at, {table}.id) < (:after_at, :after_id)"

    def _rest(self) -> Iterator[str]:
        """All filters, but the times."""
        query = self.what.query
        yield from self._networks()
        yield from port_conditions(query, "s")
        if query.protocol is not None:
            yield "s.protocol = :protocol"
        if query.scan_id is not None:
            yield "s.scan_id = :scan_id"
        yield from self._texts()

    def _networks(self) -> Iterator[str]:
        for number in range(len(self.what.query.networks)):
            yield f"s.ip BETWEEN :first_ip_{number} AND :last_ip_{number}"

    def _texts(self) -> Iterator[str]:
        query, texts = self.what.query, self.what.texts
        if texts.kinds is not None:
            yield f"s.kind_id {self._in(texts.kinds)}"
        else:
            for name in ("service", "product"):
                if getattr(query, name) is not None:
                    yield _exists("finding_kinds", "kind_id", name, name)
        if texts.hostnames is not None:
            yield f"s.hostname_id {self._in(texts.hostnames)}"
        elif query.hostname is not None:
            yield _exists("found_hostnames", "hostname_id", "name", "hostname")

    def _in(self, ids: tuple[int, ...]) -> str:
        return f"IN ({', '.join(map(str, ids))})"


def _values(what: Look, is_postgresql: bool) -> Iterator[tuple[str, Any]]:
    query = what.query
    for name in ("protocol", "scan_id", "since", "until"):
        if getattr(query, name) is not None:
            yield name, getattr(query, name)
    yield from text_values(query, is_postgresql, what.texts)
    for number, network in enumerate(query.networks):
        yield f"first_ip_{number}", str(network.network_address)
        yield f"last_ip_{number}", str(network.broadcast_address)
    if what.way.column == "block":
        yield from ((f"block_{number}", value) for number, value in enumerate(what.way.values))
    if what.after is not None:
        yield "after_at", what.after.observed_at
        yield "after_id", what.after.id
    yield "wanted", what.wanted


def _exists(table: str, reference: str, name: str, value: str) -> str:
    """A text of a row matches."""
    is_like = like(f"d.{name}", value)
    return f"EXISTS (SELECT 1 FROM {table} d WHERE d.id = s.{reference} AND {is_like})"  # noqa: S608


def port_conditions(query: Query, table: str) -> Iterator[str]:
    """One of the ports that are asked for."""
    if query.ports:
        each = (f"{table}.port BETWEEN {int(first)} AND {int(last)}" for first, last in query.ports)
        yield f"({' OR '.join(each)})"


def like(name: str, value: str) -> str:
    """A part of the text, in small or capital letters."""
    return f"{name} LIKE lower(:{value}) ESCAPE '!'"


_UNKNOWN = Texts()


def text_values(query: Query, is_postgresql: bool, known: Texts = _UNKNOWN) -> Iterator[tuple[str, str]]:
    """The patterns of the texts that are not known by their ids."""
    for name in ("service", "product", "hostname"):
        wanted = getattr(query, name)
        is_known = (known.hostnames if name == "hostname" else known.kinds) is not None
        if wanted is None or is_known:
            continue
        # A product stands as JSON has it on PostgreSQL (statements.py).
        wanted = json.dumps(wanted)[1:-1] if name == "product" and is_postgresql else wanted
        yield name, f"%{wanted.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"

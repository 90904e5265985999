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
    """What fits, newest first; `is_all`: nothing else does."""

    places: list[Place]
    is_all: bool

    def is_enough(self, wanted: int) -> bool:
        """True if the page is full, or the way has come to its end."""
        return self.is_all or len(self.places) == wanted


def look(connection: Connection, what: Look, budget: int) -> Seen:
    """Look at so many rows of a way, at fewer where the page is full before."""
    sql, values = _Sql(what, connection.dialect.name == "postgresql"), _values(what, connection.dialect.name)
    places = _places(connection, sql.within_budget(), values | {"budget": budget})
    if len(places) == what.wanted:
        return Seen(places, is_all=False)
    values = {name: value for name, value in values.items() if f":{name}" in sql.beyond_budget()}
    last = _places(connection, sql.beyond_budget(), values | {"budget": budget, "looked_at": budget - 1})
    return Seen(places, is_all=not last)


def sort_out(connection: Connection, what: Look) -> list[Place]:
    """What fits of a way with few rows."""
    sql = _Sql(what, connection.dialect.name == "postgresql").of_few_rows()
    return _places(connection, sql, _values(what, connection.dialect.name))


def find(connection: Connection, what: Look) -> list[Place]:
    """What fits, along the way that the database itself takes for the best."""
    sql = _Sql(what, connection.dialect.name == "postgresql").as_one()
    return _places(connection, sql, _values(what, connection.dialect.name))


def _places(connection: Connection, sql: str, values: dict[str, Any]) -> list[Place]:
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

    def within_budget(self) -> str:
        """What fits of the newest; a database that reads row by row stops where enough do."""
        newest = f"SELECT s.* FROM {self._stream()} ORDER BY {_ORDER.format('s')} LIMIT :budget"  # noqa: S608
        where = " AND ".join(self._rest()) or ("true" if self.is_postgresql else "1")
        order = f"ORDER BY {_ORDER.format('s')} LIMIT :wanted"
        return f"SELECT s.id, s.observed_at FROM ({newest}) s WHERE {where} {order}"  # noqa: S608

    def beyond_budget(self) -> str:
        """The last row of the budget; none where the way ends before."""
        order = f"ORDER BY {_ORDER.format('s')} LIMIT 1 OFFSET :looked_at"
        return f"SELECT s.id, s.observed_at FROM {self._stream()} {order}"  # noqa: S608

    def of_few_rows(self) -> str:
        """All that fits, sorted: by whatever index finds it, and never along time."""
        found = f"SELECT s.id, s.observed_at FROM sightings s WHERE {self._all()}"  # noqa: S608
        order = f"ORDER BY {_ORDER.format('s')} LIMIT :wanted"
        return f"WITH found AS MATERIALIZED ({found}) SELECT id, observed_at FROM found s {order}"  # noqa: S608

    def as_one(self) -> str:
        """All conditions at once."""
        where = f"sightings s WHERE {self._all()}"
        return f"SELECT s.id, s.observed_at FROM {where} ORDER BY {_ORDER.format('s')} LIMIT :wanted"  # noqa: S608

    def _all(self) -> str:
        return " AND ".join([f"s.is_latest IN ({', '.join(self._states())})", *self._bounds("s"), *self._rest()])

    def _stream(self) -> str:
        way, states = self.what.way, self._states()
        if len(states) == 1 and len(way.values) <= 1:  # in its order already, so nothing is sorted
            of_way = [f"s.{way.column} = {name}" for name in self._value_names()]
            return f"sightings s WHERE {' AND '.join([f's.is_latest = {states[0]}', *of_way, *self._bounds('s')])}"
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
                    yield _text_is_like("finding_kinds", "kind_id", name, name)
        if texts.hostnames is not None:
            yield f"s.hostname_id {self._in(texts.hostnames)}"
        elif query.hostname is not None:
            yield _text_is_like("found_hostnames", "hostname_id", "name", "hostname")

    def _in(self, ids: tuple[int, ...]) -> str:
        return f"IN ({', '.join(map(str, ids))})"


def _values(what: Look, dialect: str) -> dict[str, Any]:
    return dict(_each_value(what, dialect == "postgresql"))


def _each_value(what: Look, is_postgresql: bool) -> Iterator[tuple[str, Any]]:
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


def _text_is_like(table: str, reference: str, name: str, value: str) -> str:
    """A text of a row matches; looked up row by row, where a planner might rather read all texts first."""
    return like(f"(SELECT d.{name} FROM {table} d WHERE d.id = s.{reference})", value)  # noqa: S608


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

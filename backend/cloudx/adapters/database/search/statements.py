"""The statements that take in a window of findings, on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    LargeBinary,
    Select,
    Table,
    Update,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import INET

from cloudx.adapters.database.connection.column_types import UtcDateTime
from cloudx.adapters.database.schema.search_tables import finding_kinds, found_hostnames, sightings
from cloudx.adapters.database.schema.tables import findings
from cloudx.services.ledger.sightings import FreshChunk

from .keys import has_row, same_key

MAX_TEXT = 200  # of a service, a product or a name: an index entry has 2,700 bytes at the most
_KIND = ("protocol", "port", "state", "service", "product")
IPV4_BLOCK, IPV6_BLOCK = 16, 32  # the lengths of the networks that `block` names
# As json.dumps writes it. Not by PostgreSQL's json functions: they refuse all of a text with a NUL in it. Within a
# string the quotes are escaped, so this matches a field's name alone.
_PRODUCT = r'"product": "((?:[^"\\]|\\.)*)"'


def add_kinds(connection: Connection, is_mine: ColumnElement[bool]) -> Insert:
    """The kinds of the findings that are not known yet."""
    found = select(*_kind_of(connection)).where(is_mine).distinct().subquery()
    is_known = exists().where(*(finding_kinds.c[name] == found.c[name] for name in _KIND))
    return _insert(connection, finding_kinds, _KIND, select(found).where(~is_known))


def add_hostnames(connection: Connection, is_mine: ColumnElement[bool]) -> Insert:
    """The names of the findings that are not known yet."""
    name = _small(findings.c.hostname).label("name")
    found = select(name).where(is_mine, findings.c.hostname.is_not(None)).distinct().subquery()
    is_known = exists().where(found_hostnames.c.name == found.c.name)
    return _insert(connection, found_hostnames, ("name",), select(found).where(~is_known))


def demote(
    connection: Connection, chunk: FreshChunk, is_mine: ColumnElement[bool], around: ColumnElement[bool]
) -> Update:
    """The latest of the same ports that are older step back."""
    when = tuple_(_seen_at(connection, chunk), findings.c.scan_id)
    is_newer = when > tuple_(sightings.c.seen_at, sightings.c.scan_id)
    newer = has_row(findings, is_mine, same_key(findings, sightings), is_newer)
    is_older = and_(sightings.c.is_latest, sightings.c.scan_id != chunk.scan_id, around, newer)
    return update(sightings).where(is_older).values(is_latest=False)


def add_sightings(connection: Connection, chunk: FreshChunk, is_mine: ColumnElement[bool]) -> Insert:
    """Those that are not there yet (their key is unique); where no other is the latest of the port they are."""
    other = sightings.alias("other")
    has_latest = has_row(other, same_key(other, findings), other.c.is_latest)
    kind = and_(*(finding_kinds.c[column.name] == column for column in _kind_of(connection)))
    name_id = select(found_hostnames.c.id).where(found_hostnames.c.name == _small(findings.c.hostname))
    columns: dict[str, ColumnElement[Any]] = {
        **{name: findings.c[name] for name in ("ip", "protocol", "port", "scan_id", "observed_at")},
        "kind_id": finding_kinds.c.id,
        "hostname_id": name_id.scalar_subquery(),
        "block": _block(connection),
        "seen_at": _seen_at(connection, chunk),
        "is_latest": ~has_latest,
    }
    rows = select(*columns.values()).join(finding_kinds, kind).where(is_mine)
    return _insert(connection, sightings, tuple(columns), rows)


def _insert(connection: Connection, table: Table, names: tuple[str, ...], rows: Select[Any]) -> Insert:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table).from_select(list(names), rows).on_conflict_do_nothing()


def _kind_of(connection: Connection) -> list[ColumnElement[Any]]:
    """The columns of a finding's kind."""
    service = func.coalesce(_small(findings.c.service), "").label("service")
    product = func.coalesce(_small(_product(connection)), "").label("product")
    return [findings.c.protocol, findings.c.port, findings.c.state, service, product]


def _product(connection: Connection) -> ColumnElement[Any]:
    """As JSON has it on PostgreSQL, escapes and all."""
    if connection.dialect.name == "postgresql":
        return case((findings.c.extra.like('%"product": "%'), func.substring(findings.c.extra, _PRODUCT)), else_=null())
    return func.json_extract(findings.c.extra, "$.product")


def _small(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.substr(func.lower(column), 1, MAX_TEXT)


def _seen_at(connection: Connection, chunk: FreshChunk) -> ColumnElement[Any]:
    """Within its attempt, by the database's clock."""
    started, ended = (literal(moment, UtcDateTime()) for moment in (chunk.started_at, chunk.ended_at))
    if connection.dialect.name == "postgresql":
        return func.least(func.greatest(findings.c.observed_at, started), ended)
    return func.min(func.max(findings.c.observed_at, started), ended)


def _block(connection: Connection) -> ColumnElement[Any]:
    ip = findings.c.ip
    if connection.dialect.name == "postgresql":
        inet = type_coerce(ip, INET())
        is_ipv4 = func.family(inet) == 4
        network = func.network(func.set_masklen(inet, case((is_ipv4, IPV4_BLOCK), else_=IPV6_BLOCK)))
        return func.set_masklen(func.inet(network), case((is_ipv4, 32), else_=128))
    # One byte for the version, then the address (pack_ip); the rest is zeros.
    is_ipv4 = func.length(ip) == 5
    ipv4 = func.substr(ip, 1, 3).op("||")(literal(bytes(2), LargeBinary()))
    ipv6 = func.substr(ip, 1, 5).op("||")(literal(bytes(12), LargeBinary()))
    return cast(case((is_ipv4, ipv4), else_=ipv6), LargeBinary())

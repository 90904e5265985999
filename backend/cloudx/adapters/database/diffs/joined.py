"""A window of two scans' findings as one relation: each key once, with what either scan has of it.

Within a window, so that a statement's time and memory are bounded, however large the scans are (docs/adr/0033). The
statements are made once for each shape and take their values as parameters: to make one takes longer than its window.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    DateTime,
    FromClause,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
    union_all,
)
from sqlalchemy import null as sql_null
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.types import TypeEngine

from cloudx.adapters.database.schema.tables import findings, hosts
from cloudx.domain.diff.changes import Change
from cloudx.services.ledger.diffs import Compared, Gone, Window
from cloudx.services.ledger.records import FindingKey

_KEY = ("ip", "protocol", "port")
_AS_READ: dict[str, TypeEngine[Any]] = {"ip": INET(), "observed_at": DateTime(timezone=True)}


class Shape(NamedTuple):
    """What a statement depends on, besides its values."""

    versions: bool
    hosts: bool
    has_after: bool
    has_to: bool
    is_postgresql: bool

    @classmethod
    def of(cls, compared: Compared, window: Window, is_postgresql: bool) -> Shape:
        """That of a window of two scans."""
        return cls(compared.versions, compared.hosts, window.after is not None, window.to is not None, is_postgresql)


def values_of(compared: Compared, window: Window) -> dict[str, Any]:
    """The values of the statements for a window."""
    ids = {"before_id": compared.before_id, "after_id": compared.after_id}
    return ids | _key_values("from", window.after) | _key_values("to", window.to)


@cache
def select_pairs(shape: Shape, changes: frozenset[Change], columns: tuple[str, ...]) -> Select[Any]:
    """The pairs that may be one of these changes, in order: these columns of both, and whether the host was seen."""
    pair = _joined(shape)
    wanted = {
        Change.OPENED: _is_opened(pair),
        Change.CLOSED: _is_gone(pair),
        Change.NOT_OBSERVED: _is_gone(pair),
        Change.CHANGED: or_(_is_changed(pair, shape), _is_doubtful(pair, shape)),
    }
    shown = [_as_read(pair, side, name, shape) for side in ("before", "after") for name in columns]
    order = [func.coalesce(pair.c[f"before_{name}"], pair.c[f"after_{name}"]) for name in _KEY]
    return select(*shown, _host_seen(pair, shape)).where(or_(*(wanted[one] for one in changes))).order_by(*order)


def _as_read(pair: FromClause, side: str, name: str, shape: Shape) -> ColumnElement[Any]:
    """As PostgreSQL's driver reads it: its addresses are texts and its times are in UTC, so nothing is converted."""
    column = pair.c[f"{side}_{name}"]
    return type_coerce(column, _AS_READ[name]) if shape.is_postgresql and name in _AS_READ else column


@cache
def count_pairs(shape: Shape) -> Select[Any]:
    """The kind of pair, the fields of Gone, how many: the keys that are gone one by one, in order, others in groups."""
    pair = _joined(shape)
    is_gone = _is_gone(pair)
    kind = case(
        (_is_opened(pair), "opened"),
        (is_gone, "gone"),
        (_is_changed(pair, shape), "changed"),
        (_is_doubtful(pair, shape), "doubtful"),
        else_="unchanged",
    )
    names = [name for name in Gone._fields if name != "host_seen"]
    of_gone = [case((is_gone, pair.c[f"before_{name}"])).label(name) for name in names]
    rows = select(kind.label("kind"), *of_gone, _host_seen(pair, shape).label("host_seen")).subquery()
    return select(rows, func.count()).group_by(*rows.c).order_by(*(rows.c[name] for name in _KEY))


@cache
def select_ends(has_after: bool) -> CompoundSelect[Any]:
    """The keys of the findings so many behind of both scans, of those that have as many."""
    key = [findings.c[name] for name in _KEY]
    is_beyond = _beyond(findings) if has_after else true()
    ends = (
        select(*key)
        .where(findings.c.scan_id == bindparam(scan_id), is_beyond)
        .order_by(*key)
        .offset(bindparam("rows_before"))
        .limit(1)
        .subquery()
        for scan_id in ("before_id", "after_id")
    )
    return union_all(*(select(end) for end in ends))


def values_of_ends(compared: Compared, after: FindingKey | None, rows: int) -> dict[str, Any]:
    """The values of `select_ends`."""
    return values_of(compared, Window(after, None)) | {"rows_before": rows - 1}


def _key_values(prefix: str, key: FindingKey | None) -> dict[str, Any]:
    return {} if key is None else {f"{prefix}_{name}": value for name, value in zip(_KEY, key, strict=True)}


def _joined(shape: Shape) -> Subquery:
    """Columns `before_NAME` and `after_NAME` for each of the table's, NULL where the scan lacks the key."""
    return (_full_join(shape) if shape.is_postgresql else _two_joins(shape)).subquery()


def _full_join(shape: Shape) -> Select[Any]:
    before, after = (
        select(findings).where(findings.c.scan_id == bindparam(name), _within(findings, shape)).subquery()
        for name in ("before_id", "after_id")
    )
    return select(*_columns(before, after)).select_from(before.outerjoin(after, _same_key(before, after), full=True))


def _two_joins(shape: Shape) -> CompoundSelect[Any]:
    """SQLite knows FULL JOIN since 3.39 alone, and is slow at it; this goes along the key of both."""
    before, after = findings.alias("a"), findings.alias("b")
    of_before, of_after = before.c.scan_id == bindparam("before_id"), after.c.scan_id == bindparam("after_id")
    is_pair = _same_key(before, after)
    first = select(*_columns(before, after)).select_from(before.outerjoin(after, and_(of_after, is_pair)))
    is_known = exists().where(of_before, is_pair).correlate(after)
    second = select(*_columns(None, after)).where(of_after, _within(after, shape), ~is_known)
    return first.where(of_before, _within(before, shape)).union_all(second)


def _columns(before: FromClause | None, after: FromClause) -> list[ColumnElement[Any]]:
    names = [column.name for column in findings.c]
    of_before = {name: type_coerce(sql_null(), findings.c[name].type) for name in names} if before is None else before.c
    sides = {"before": of_before, "after": after.c}
    return [columns[name].label(f"{side}_{name}") for side, columns in sides.items() for name in names]


def _beyond(table: FromClause) -> Any:
    return _key(table) > _bound("from")


def _within(table: FromClause, shape: Shape) -> ColumnElement[bool]:
    """By the address too: PostgreSQL guesses well how many rows that leaves, and twenty times too many by the key."""
    bounds = [true()]
    if shape.has_after:
        bounds += [_beyond(table), table.c.ip >= _value("from", "ip")]
    if shape.has_to:
        bounds += [_key(table) <= _bound("to"), table.c.ip <= _value("to", "ip")]
    return and_(*bounds)


def _key(table: FromClause) -> Any:
    return tuple_(*(table.c[name] for name in _KEY))


def _bound(prefix: str) -> Any:
    return tuple_(*(_value(prefix, name) for name in _KEY))


def _value(prefix: str, name: str) -> Any:
    return bindparam(f"{prefix}_{name}", type_=findings.c[name].type)


def _same_key(before: FromClause, after: FromClause) -> ColumnElement[bool]:
    return and_(*(before.c[name] == after.c[name] for name in _KEY))


def _is_opened(pair: FromClause) -> ColumnElement[bool]:
    return pair.c.before_ip.is_(None)


def _is_gone(pair: FromClause) -> ColumnElement[bool]:
    return pair.c.after_ip.is_(None)


def _is_changed(pair: FromClause, shape: Shape) -> ColumnElement[bool]:
    """Without versions the service does not count."""
    other_state = pair.c.before_state != pair.c.after_state
    if not shape.versions:
        return other_state
    return or_(other_state, pair.c.before_service.is_distinct_from(pair.c.after_service))


def _is_doubtful(pair: FromClause, shape: Shape) -> ColumnElement[bool]:
    """Where product or version may differ: PostgreSQL refuses some of the JSON that banners bring about."""
    return pair.c.before_extra.is_distinct_from(pair.c.after_extra) if shape.versions else false()


def _host_seen(pair: FromClause, shape: Shape) -> ColumnElement[bool]:
    """True where the first scan alone has the key, and the second found its host up."""
    if not shape.hosts:
        return false()
    is_up = exists().where(hosts.c.scan_id == bindparam("after_id"), hosts.c.ip == pair.c.before_ip)
    return case((_is_gone(pair), is_up), else_=false())

"""A window of two scans' findings as one relation: each key once, with what either scan has of it.

Within a window, so that a statement's time and memory are bounded, however large the scans are (docs/adr/0033).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    and_,
    case,
    exists,
    false,
    func,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy import null as sql_null

from cloudx.adapters.database.schema.tables import findings, hosts
from cloudx.services.ledger.diffs import Compared, Window
from cloudx.services.ledger.records import FindingKey

KEY = ("ip", "protocol", "port")
_TYPES = [findings.c[name].type for name in KEY]


def beyond(table: FromClause, after: FindingKey | None) -> ColumnElement[bool]:
    """True for keys behind this one."""
    return true() if after is None else _key(table) > tuple_(*after, types=_TYPES)


def within(table: FromClause, window: Window) -> ColumnElement[bool]:
    """True for keys of the window."""
    is_beyond = beyond(table, window.after)
    return is_beyond if window.to is None else and_(is_beyond, _key(table) <= tuple_(*window.to, types=_TYPES))


def joined(compared: Compared, window: Window, is_postgresql: bool) -> Subquery:
    """Columns `before_NAME` and `after_NAME` for each of the table's, NULL where the scan lacks the key."""
    query = _full_join(compared, window) if is_postgresql else _two_joins(compared, window)
    return query.subquery()


def _full_join(compared: Compared, window: Window) -> Select[Any]:
    before = _part(compared.before_id, window).alias("a")
    after = _part(compared.after_id, window).alias("b")
    return select(*_columns(before, after)).select_from(before.outerjoin(after, _same_key(before, after), full=True))


def _part(scan_id: str, window: Window) -> Subquery:
    return select(findings).where(findings.c.scan_id == scan_id, within(findings, window)).subquery()


def _two_joins(compared: Compared, window: Window) -> Any:
    """SQLite knows FULL JOIN since 3.39 alone, and sorts for it; this goes along the key of both."""
    before, after = findings.alias("a"), findings.alias("b")
    is_pair = _same_key(before, after)
    of_before = and_(before.c.scan_id == compared.before_id, within(before, window))
    of_after = and_(after.c.scan_id == compared.after_id, within(after, window))
    first = (
        select(*_columns(before, after))
        .select_from(before.outerjoin(after, and_(after.c.scan_id == compared.after_id, is_pair)))
        .where(of_before)
    )
    is_known = exists().where(before.c.scan_id == compared.before_id, is_pair)
    second = select(*_columns(None, after)).where(of_after, ~is_known)
    return first.union_all(second)


def _columns(before: FromClause | None, after: FromClause) -> list[ColumnElement[Any]]:
    names = [column.name for column in findings.c]
    nothing = {name: type_coerce(sql_null(), findings.c[name].type) for name in names}
    of_before = nothing if before is None else before.c
    return [of_before[name].label(f"before_{name}") for name in names] + [
        after.c[name].label(f"after_{name}") for name in names
    ]


def _same_key(before: FromClause, after: FromClause) -> ColumnElement[bool]:
    return and_(*(before.c[name] == after.c[name] for name in KEY))


def _key(table: FromClause) -> Any:
    return tuple_(*(table.c[name] for name in KEY))


def key_of(pair: FromClause) -> list[ColumnElement[Any]]:
    """The key of a pair, from whichever scan has it."""
    return [func.coalesce(pair.c[f"before_{name}"], pair.c[f"after_{name}"]) for name in KEY]


def is_opened(pair: FromClause) -> ColumnElement[bool]:
    """True where the second scan alone has the key."""
    return pair.c.before_ip.is_(None)


def is_gone(pair: FromClause) -> ColumnElement[bool]:
    """True where the first scan alone has the key."""
    return pair.c.after_ip.is_(None)


def is_changed(pair: FromClause, compared: Compared) -> ColumnElement[bool]:
    """True where state or service differ; without versions the service does not count."""
    other_state = pair.c.before_state != pair.c.after_state
    if not compared.versions:
        return other_state
    return or_(other_state, pair.c.before_service.is_distinct_from(pair.c.after_service))


def is_doubtful(pair: FromClause, compared: Compared) -> ColumnElement[bool]:
    """True where product or version may differ: PostgreSQL refuses some of the JSON that banners bring about."""
    return pair.c.before_extra.is_distinct_from(pair.c.after_extra) if compared.versions else false()


def host_seen(pair: FromClause, compared: Compared) -> ColumnElement[bool]:
    """True where the first scan alone has the key, and the second found its host up."""
    if not compared.hosts:
        return false()
    is_up = exists().where(hosts.c.scan_id == compared.after_id, hosts.c.ip == pair.c.before_ip)
    return case((is_gone(pair), is_up), else_=false())

"""Column types that mean the same on both databases, and the database's own clock."""

from __future__ import annotations

import ipaddress
import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BLOB, DateTime, Dialect, Float, Text, Uuid, literal
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """timestamptz on PostgreSQL, UTC text on SQLite; always aware in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC; a naive time is a defect of the caller."""
        if value is None:
            return None
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class RecordId(TypeDecorator[str]):
    """A UUID as text. A malformed one becomes the nil UUID, which no record has, so it finds nothing."""

    impl = Uuid(as_uuid=False)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The canonical form."""
        if value is None:
            return None
        try:
            return str(uuid.UUID(value))
        except ValueError:
            return str(uuid.UUID(int=0))


class PlainText(TypeDecorator[str]):
    """Text that every database takes: PostgreSQL stores no NUL, and no encoding has lone surrogates."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The text without them."""
        return None if value is None else plain(value)


def plain(text: str) -> str:
    """Drop NULs and replace each lone surrogate by a question mark: a tool's output may hold anything."""
    text = text.replace("\0", "")
    return text if text.isascii() else text.encode(errors="replace").decode()


class IpAddress(TypeDecorator[str]):
    """inet on PostgreSQL; on SQLite the version and the packed bytes, which sort the same way."""

    impl = BLOB
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """INET where there is one."""
        return dialect.type_descriptor(INET() if dialect.name == "postgresql" else BLOB())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Text in, the database's form out."""
        if value is None or dialect.name == "postgresql":
            return value
        return pack_ip(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Text again."""
        if value is None or dialect.name == "postgresql":
            return value  # type: ignore[no-any-return]
        return str(ipaddress.ip_address(value[1:]))


def pack_ip(ip: str) -> bytes:
    """One byte for the version, then the address in network order: IPv4 sorts before IPv6, as inet does."""
    address = ipaddress.ip_address(ip)
    return bytes([address.version]) + address.packed


class db_now(FunctionElement[datetime]):  # noqa: N801 - a SQL function
    """The database's clock now, not at the start of the transaction, plus some seconds."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, plus_seconds: float = 0.0) -> None:
        # As a bound value: the statements that use it stay cached by SQLAlchemy.
        super().__init__(literal(float(plus_seconds), Float))


@compiles(db_now, "postgresql")
def _postgresql_now(element: db_now, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(clock_timestamp() + make_interval(secs => {compiler.process(element.clause_expr, **kw)}))"


@compiles(db_now, "sqlite")
def _sqlite_now(element: db_now, compiler: SQLCompiler, **kw: Any) -> str:
    # SQLite's clock has milliseconds; the zeros give the six digits SQLAlchemy writes and compares.
    seconds = f"printf('%+f seconds', {compiler.process(element.clause_expr, **kw)})"
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {seconds}) || '000')"

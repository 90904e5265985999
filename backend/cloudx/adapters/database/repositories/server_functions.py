"""Calls of the functions in sql/, by the driver itself, which takes half of SQLAlchemy's time for one row."""

from __future__ import annotations

import secrets
from typing import Any

import psycopg2
from psycopg2.extensions import AsIs
from sqlalchemy import Connection

from cloudx.adapters.database.connection.column_types import plain
from cloudx.adapters.database.connection.outages import translated
from cloudx.domain.chunks import Lease

# This process's secret: no table that a worker's login reads tells it, so nobody else settles what was leased here.
LEASE_KEY = secrets.token_hex(16)


def call(connection: Connection, function: str, *arguments: object) -> list[tuple[Any, ...]]:
    """The rows of `cloudx_FUNCTION(arguments)`, within the connection's transaction. Raises DependencyUnavailable."""
    try:
        return call_untranslated(connection, function, *arguments)
    except psycopg2.Error as error:
        raise translated(error) from error


def call_untranslated(connection: Connection, function: str, *arguments: object) -> list[tuple[Any, ...]]:
    """The same, with the driver's own errors, for functions that raise some of ours."""
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy sees no statement below, and would have nothing to commit
    cursor = connection.connection.cursor()
    try:
        placeholders = ", ".join(["%s"] * len(arguments))
        statement = f"SELECT * FROM %s({placeholders})"  # noqa: S608 - nothing but placeholders
        cursor.execute(statement, (AsIs(f"cloudx_{function}"), *arguments))
        return list(cursor.fetchall())
    finally:
        cursor.close()


def fence_of(lease: Lease) -> tuple[object, ...]:
    """What proves a lease to the functions, in the order in which all of them take it."""
    return lease.scan_id, lease.span.number, lease.attempt, plain(lease.worker_id), LEASE_KEY

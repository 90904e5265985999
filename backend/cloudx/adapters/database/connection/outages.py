"""Which errors are an outage of the database, and the message for people."""

from __future__ import annotations

import psycopg2

from cloudx.domain.errors import DependencyUnavailable

_INSUFFICIENT_PRIVILEGE = "42501"  # https://www.postgresql.org/docs/15/errcodes-appendix.html


def has_lost_its_rights(error: object) -> bool:
    """True for a login whose lease has ended: its sessions on PostgreSQL live on, without any right."""
    return getattr(error, "pgcode", None) == _INSUFFICIENT_PRIVILEGE


def translated(error: psycopg2.Error) -> Exception:
    """What to raise for an error of the driver, where SQLAlchemy is bypassed and translates nothing."""
    if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) or has_lost_its_rights(error):
        return outage(error)
    return error


def outage(error: object) -> DependencyUnavailable:
    """The error for people; `error` is the driver's."""
    reason = str(error).strip().splitlines()[0][:200]
    if has_lost_its_rights(error):
        return DependencyUnavailable(
            f"The database refuses this login ({reason}): its lease may have ended. The next login is used as soon as "
            "it is there; see whether Vault is unsealed. A worker's own login reports no node: set PRIMARY_NODE_URL."
        )
    return DependencyUnavailable(f"The database does not answer ({reason}). Try again shortly.")

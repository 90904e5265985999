"""What a cluster's group roles may do with each table; the schema's owner grants it at every upgrade."""

from __future__ import annotations

from sqlalchemy import Connection, text

from .functions import function_signatures
from .tables import metadata

OWNER = "cloudx_owner"
BACKEND = "cloudx_backend"
WORKER = "cloudx_worker"
_ALL = "SELECT, INSERT, UPDATE, DELETE"
_VERSION_TABLE = "alembic_version"

# A worker claims and completes chunks, inserts what it found, finishes scans. It reads no token and writes no policy.
_WORKER_MAY = {
    "scans": "SELECT, UPDATE",
    "scan_targets": "SELECT",
    "chunks": "SELECT, INSERT, UPDATE",  # a straggler's chunk is split into new ones
    "attempts": "SELECT, INSERT, UPDATE",
    "dispatches": "SELECT",  # how many workers are on their way to a scan
    "scan_nodes": "SELECT, INSERT, UPDATE",
    "node_grants": "SELECT, INSERT, UPDATE",
    "asking_workers": "SELECT, INSERT, UPDATE, DELETE",
    "findings": "SELECT, INSERT",
    "hosts": "SELECT, INSERT, UPDATE",  # of one whose ports were cut, several chunks tell
    "inline_results": "SELECT, INSERT, DELETE",
    "nodes": "SELECT, INSERT, UPDATE",
    "policy_version": "SELECT",
    "scopes": "SELECT",
    "exclusions": "SELECT",
    "canaries": "SELECT",
    "excluded_names": "SELECT",
}


def grant_to_groups(connection: Connection) -> None:
    """Grant these rights. Does nothing on SQLite, without the groups, or by a login that does not own the tables."""
    if connection.dialect.name != "postgresql" or not _groups_exist(connection):
        return
    for table in metadata.tables:
        _grant(connection, _ALL, table, BACKEND)
        _grant(connection, _WORKER_MAY.get(table), table, WORKER)
    for group in (BACKEND, WORKER):
        _grant(connection, "SELECT", _VERSION_TABLE, group)
        # They run with their caller's rights, so they give nothing away.
        for function in function_signatures(connection):
            connection.execute(text(f"GRANT EXECUTE ON FUNCTION {function} TO {group}"))


def _groups_exist(connection: Connection) -> bool:
    query = text("SELECT count(*) FROM pg_roles WHERE rolname = ANY(:names) AND pg_has_role(:owner, 'USAGE')")
    if connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :owner"), {"owner": OWNER}).scalar() is None:
        return False
    return bool(connection.execute(query, {"names": [BACKEND, WORKER], "owner": OWNER}).scalar_one() == 2)


def _grant(connection: Connection, rights: str | None, table: str, group: str) -> None:
    connection.execute(text(f"REVOKE ALL ON {table} FROM {group}"))
    if rights:
        connection.execute(text(f"GRANT {rights} ON {table} TO {group}"))

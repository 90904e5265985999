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

# A worker changes its leases by the functions in sql/ alone, which run with the owner's rights and check the lease.
# What it inserts, findings, a trigger holds to the chunk that it settles. It reads no token and no lease's key
# (docs/adr/0026).
_READABLE_CHUNK = ", ".join(column.name for column in metadata.tables["chunks"].c if column.name != "lease_key")
_WORKER_MAY = {
    "scans": "SELECT",
    "scan_targets": "SELECT",
    "chunks": f"SELECT ({_READABLE_CHUNK})",
    "dispatches": "SELECT (scan_id, state, created_at)",  # how many workers are on their way to a scan
    "scan_nodes": "SELECT",
    "node_grants": "SELECT",
    "asking_workers": "SELECT (node_id, only_scan, capabilities, asked_at)",
    "findings": "SELECT, INSERT",
    "hosts": "SELECT",
    "inline_results": "SELECT (scan_id)",
    "nodes": "SELECT",
    "policy_version": "SELECT",
    "scopes": "SELECT",
    "exclusions": "SELECT",
    "canaries": "SELECT",
    "follow_ups": "SELECT",
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
        for function in function_signatures(connection):
            connection.execute(text(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC"))
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

"""what each node does for a scan, counted by triggers; claims and renewals as functions of the server"""

# ruff: noqa: S608 - what is put together here are this file's own words

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import RecordId, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COUNTERS = ("chunks_done", "chunks_failed", "completed_units", "failed_units", "excluded_units")
_FUNCTIONS = (
    "cloudx_count_chunk()",
    "cloudx_forget_chunks()",
    "cloudx_clamp_pps(bigint, bigint)",
    "cloudx_claim_chunk(uuid, text, text, bigint, bigint, double precision)",
    "cloudx_renew_chunks(text, uuid[], integer[], integer[], double precision[], boolean[], double precision)",
)


def upgrade() -> None:
    """Apply."""
    _make_tables()
    op.execute(_FILL)
    op.execute(
        "INSERT INTO node_grants SELECT node_id, sum(granted_pps) FROM scan_nodes "
        "WHERE granted_pps > 0 GROUP BY node_id"
    )
    for name in _COUNTERS:
        op.drop_column("scans", name)
    if op.get_bind().dialect.name == "sqlite":
        for statement in _SQLITE_TRIGGERS:
            op.execute(statement)
        return
    for table in ("scan_nodes", "node_grants", "asking_workers"):
        # Room in the page for the next version of a row: these are updated at every claim.
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 40)")
    _index_chunks_to_claim("WHERE state = 'pending'")
    # Anybody may call them, as PostgreSQL has it: they run with the rights of who calls, and give none.
    for statement in (_COUNT_CHUNK, _FORGET_CHUNKS, *_POSTGRES_TRIGGERS, _CLAMP, _CLAIM, _RENEW):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for trigger in ("count_chunk", "forget_chunks"):
        op.execute(f"DROP TRIGGER {trigger}" if is_sqlite else f"DROP TRIGGER {trigger} ON chunks")
    for function in () if is_sqlite else _FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
    if not is_sqlite:
        _index_chunks_to_claim("")
    for name in _COUNTERS:
        kind = sa.Integer() if name.startswith("chunks") else sa.BigInteger()
        comment = "excluded after submit" if name == "excluded_units" else None
        op.add_column("scans", sa.Column(name, kind, nullable=False, server_default="0", comment=comment))
        op.execute(
            f"UPDATE scans SET {name} = "
            f"coalesce((SELECT sum(n.{name}) FROM scan_nodes n WHERE n.scan_id = scans.id), 0)"
        )
    for table in ("asking_workers", "node_grants", "scan_nodes"):
        op.drop_table(table)


def _index_chunks_to_claim(which: str) -> None:
    """With all states in it every change of one is written to it, and it looks good for finding a chunk by number."""
    op.execute("DROP INDEX ix_chunks_claim")
    op.execute(f"CREATE INDEX ix_chunks_claim ON chunks (scan_id, state, claim_order) {which}")


def _make_tables() -> None:
    op.create_table(
        "scan_nodes",
        sa.Column("scan_id", RecordId(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("granted_pps", sa.BigInteger(), nullable=False, comment="of its chunks that are sending"),
        sa.Column("chunks_leased", sa.Integer(), nullable=False),
        sa.Column("chunks_sending", sa.Integer(), nullable=False),
        sa.Column("chunks_done", sa.Integer(), nullable=False),
        sa.Column("chunks_failed", sa.Integer(), nullable=False),
        sa.Column("completed_units", sa.BigInteger(), nullable=False),
        sa.Column("failed_units", sa.BigInteger(), nullable=False),
        sa.Column("excluded_units", sa.BigInteger(), nullable=False, comment="excluded after submit"),
        sa.Column("moved_at", UtcDateTime(), nullable=False, comment="when a chunk of it last changed hands"),
        sa.PrimaryKeyConstraint("scan_id", "node_id", name=op.f("pk_scan_nodes")),
    )
    op.create_table(
        "node_grants",
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("granted_pps", sa.BigInteger(), nullable=False, comment="over all scans"),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_node_grants")),
    )
    op.create_table(
        "asking_workers",
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("only_scan", RecordId(), nullable=True),
        sa.Column("capabilities", sa.Text(), nullable=False, comment="each word between commas"),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "worker_id", name=op.f("pk_asking_workers")),
        prefixes=["UNLOGGED"] if op.get_bind().dialect.name == "postgresql" else [],  # a crash may forget it
    )


_UNITS = "address_count * port_count"
_FILL = f"""
INSERT INTO scan_nodes
SELECT scan_id, node_id,
       coalesce(sum(CASE WHEN state = 'leased' AND sending THEN rate_pps END), 0),
       sum(CASE WHEN state = 'leased' THEN 1 ELSE 0 END),
       sum(CASE WHEN state = 'leased' AND sending THEN 1 ELSE 0 END),
       sum(CASE WHEN state = 'done' THEN 1 ELSE 0 END),
       sum(CASE WHEN state = 'failed' THEN 1 ELSE 0 END),
       sum(CASE WHEN state = 'done' THEN {_UNITS} - excluded_units ELSE 0 END),
       sum(CASE WHEN state = 'failed' THEN {_UNITS} ELSE 0 END),
       sum(CASE WHEN state = 'done' THEN excluded_units ELSE 0 END),
       CURRENT_TIMESTAMP
FROM chunks WHERE node_id IS NOT NULL AND state IN ('leased', 'done', 'failed') GROUP BY scan_id, node_id
"""

# The books of a scan are kept by the change of a chunk itself, so that no statement can forget them; but for a lease on
# PostgreSQL, which cloudx_claim_chunk books itself.
_CHANGED = """(OLD.state = 'leased' OR NEW.state = 'leased')
    AND (OLD.state <> NEW.state OR OLD.sending <> NEW.sending OR OLD.rate_pps <> NEW.rate_pps)"""
_SENT = "{0}.state = 'leased' AND {0}.sending"
_DELTAS = f"""
    NEW.rate_pps * ({_SENT.format("NEW")})INT - OLD.rate_pps * ({_SENT.format("OLD")})INT,
    (NEW.state = 'leased')INT - (OLD.state = 'leased')INT,
    ({_SENT.format("NEW")})INT - ({_SENT.format("OLD")})INT,
    (NEW.state = 'done')INT,
    (NEW.state = 'failed')INT,
    (NEW.state = 'done')INT * (NEW.address_count * NEW.port_count - NEW.excluded_units),
    (NEW.state = 'failed')INT * NEW.address_count * NEW.port_count,
    (NEW.state = 'done')INT * NEW.excluded_units
"""
_ADD_UP = """
ON CONFLICT (scan_id, node_id) DO UPDATE SET
    granted_pps = scan_nodes.granted_pps + excluded.granted_pps,
    chunks_leased = scan_nodes.chunks_leased + excluded.chunks_leased,
    chunks_sending = scan_nodes.chunks_sending + excluded.chunks_sending,
    chunks_done = scan_nodes.chunks_done + excluded.chunks_done,
    chunks_failed = scan_nodes.chunks_failed + excluded.chunks_failed,
    completed_units = scan_nodes.completed_units + excluded.completed_units,
    failed_units = scan_nodes.failed_units + excluded.failed_units,
    excluded_units = scan_nodes.excluded_units + excluded.excluded_units,
    moved_at = excluded.moved_at
"""

_SQLITE_TRIGGERS = (
    f"""
CREATE TRIGGER count_chunk AFTER UPDATE OF state, sending, rate_pps ON chunks WHEN {_CHANGED} BEGIN
    INSERT INTO node_grants VALUES (
        NEW.node_id, NEW.rate_pps * ({_SENT.format("NEW")}) - OLD.rate_pps * ({_SENT.format("OLD")})
    ) ON CONFLICT (node_id) DO UPDATE SET granted_pps = node_grants.granted_pps + excluded.granted_pps;
    INSERT INTO scan_nodes VALUES (
        NEW.scan_id, NEW.node_id, {_DELTAS.replace(")INT", ")")}, strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'
    ) {_ADD_UP};
END
""",
    f"""
CREATE TRIGGER forget_chunks AFTER DELETE ON chunks WHEN {_SENT.format("OLD")} BEGIN
    UPDATE node_grants SET granted_pps = granted_pps - OLD.rate_pps WHERE node_id = OLD.node_id;
END
""",
)

# A node's row in node_grants is locked before its rows in scan_nodes, everywhere.
_COUNT_CHUNK = f"""
CREATE FUNCTION cloudx_count_chunk() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    delta_pps bigint := NEW.rate_pps * ({_SENT.format("NEW")})::int - OLD.rate_pps * ({_SENT.format("OLD")})::int;
BEGIN
    IF delta_pps <> 0 THEN
        INSERT INTO node_grants AS held VALUES (NEW.node_id, delta_pps)
        ON CONFLICT (node_id) DO UPDATE SET granted_pps = held.granted_pps + excluded.granted_pps;
    END IF;
    INSERT INTO scan_nodes VALUES (
        NEW.scan_id, NEW.node_id, {_DELTAS.replace(")INT", ")::int")}, clock_timestamp()
    ) {_ADD_UP};
    RETURN NULL;
END $$
"""

_FORGET_CHUNKS = f"""
CREATE FUNCTION cloudx_forget_chunks() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    freed record;
BEGIN
    FOR freed IN
        SELECT gone.node_id, sum(gone.rate_pps) AS pps FROM gone
        WHERE {_SENT.format("gone")} GROUP BY gone.node_id ORDER BY gone.node_id
    LOOP
        UPDATE node_grants SET granted_pps = granted_pps - freed.pps WHERE node_id = freed.node_id;
    END LOOP;
    RETURN NULL;
END $$
"""

_POSTGRES_TRIGGERS = (
    "CREATE TRIGGER count_chunk AFTER UPDATE OF state, sending, rate_pps ON chunks FOR EACH ROW "
    f"WHEN (OLD.state = 'leased' AND {_CHANGED}) EXECUTE FUNCTION cloudx_count_chunk()",
    "CREATE TRIGGER forget_chunks AFTER DELETE ON chunks REFERENCING OLD TABLE AS gone FOR EACH STATEMENT "
    "EXECUTE FUNCTION cloudx_forget_chunks()",
)

# As domain.grants.clamp_pps; a contract test holds the two equal.
_CLAMP = """
CREATE FUNCTION cloudx_clamp_pps(share bigint, free bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN free >= share THEN share WHEN free > 0 AND free * 2 >= share THEN free ELSE 0 END
$$
"""

# Locks, in this order: the node, the scan's row at its first claim alone, a chunk that nobody else has, the node's row
# of the scan, and the scan's claims, for as long as it takes to add up and commit. That one is an advisory lock: the
# scan's row is held by others while they wait for the disk. Whoever was granted what another took meanwhile fails with
# CX001, and asks again. The function keeps the books itself: the trigger would cost a third of a claim. What it writes
# is soft state: what a crash of the server takes back is a lost lease (docs/adr/0009).
# The plans are generic: statistics may say of a new scan that it has no chunks, and a plan for that reads all of them.
_CLAIM = r"""
CREATE FUNCTION cloudx_claim_chunk(
    wanted_scan uuid, claimant text, claimants_node text, share bigint, limit_pps bigint, lease_seconds double precision
) RETURNS TABLE (
    outcome text, number integer, address_start bigint, address_count bigint, port_start integer, port_count integer,
    attempt integer, rate_pps bigint, lease_until timestamptz, policy_version bigint
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    is_soft text := set_config('synchronous_commit', 'off', true);
    is_locked boolean;
    scans_rate bigint;
    scans_status text;
    registered bigint;
    node_granted bigint;
    scan_granted bigint;
    granted bigint;
    chosen integer;
    at timestamptz;
BEGIN
    SELECT held.granted_pps INTO node_granted FROM node_grants held WHERE held.node_id = claimants_node FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO node_grants VALUES (claimants_node, 0) ON CONFLICT DO NOTHING;
        SELECT held.granted_pps INTO node_granted FROM node_grants held WHERE held.node_id = claimants_node FOR UPDATE;
    END IF;
    SELECT s.rate_pps, s.status, p.version, (SELECT n.rate_limit_pps FROM nodes n WHERE n.node_id = claimants_node),
            (SELECT sum(every.granted_pps) FROM scan_nodes every WHERE every.scan_id = wanted_scan)
        INTO scans_rate, scans_status, policy_version, registered, scan_granted
        FROM scans s, policy_version p WHERE s.id = wanted_scan;
    IF NOT FOUND OR scans_status NOT IN ('submitted', 'running') THEN
        outcome := 'over'; RETURN NEXT; RETURN;
    END IF;
    limit_pps := least(limit_pps, registered);
    share := least(share, limit_pps);
    granted := cloudx_clamp_pps(share, least(limit_pps - node_granted, scans_rate - coalesce(scan_granted, 0)));
    IF granted = 0 THEN
        outcome := CASE cloudx_clamp_pps(share, limit_pps - node_granted) WHEN 0 THEN 'node_full' ELSE 'no_rate' END;
        RETURN NEXT; RETURN;
    END IF;
    at := clock_timestamp();
    IF scans_status = 'submitted' THEN
        UPDATE scans s SET status = 'running', started_at = at WHERE s.id = wanted_scan AND s.status = 'submitted';
    END IF;
    SELECT c.number INTO chosen FROM chunks c
        WHERE c.scan_id = wanted_scan AND c.state = 'pending' AND (c.available_at IS NULL OR c.available_at <= at)
            AND strpos(E'\n' || c.failed_nodes, E'\n' || claimants_node || E'\n') = 0
        ORDER BY c.claim_order LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN  -- those that failed on this node are better than none
        SELECT c.number INTO chosen FROM chunks c
            WHERE c.scan_id = wanted_scan AND c.state = 'pending' AND (c.available_at IS NULL OR c.available_at <= at)
            ORDER BY c.claim_order LIMIT 1 FOR UPDATE SKIP LOCKED;
    END IF;
    IF NOT FOUND THEN
        outcome := 'no_chunk'; RETURN NEXT; RETURN;
    END IF;
    lease_until := at + make_interval(secs => lease_seconds);
    UPDATE chunks c SET state = 'leased', attempt = c.attempt + 1, worker_id = claimant, node_id = claimants_node,
        rate_pps = granted, lease_until = cloudx_claim_chunk.lease_until, sending = true, sent_share = 0
        WHERE c.scan_id = wanted_scan AND c.number = chosen
        RETURNING c.number, c.address_start, c.address_count, c.port_start, c.port_count, c.attempt
        INTO number, address_start, address_count, port_start, port_count, attempt;
    INSERT INTO attempts (scan_id, number, attempt, node_id, worker_id, started_at)
        VALUES (wanted_scan, number, attempt, claimants_node, claimant, at);

    UPDATE node_grants held SET granted_pps = held.granted_pps + granted WHERE held.node_id = claimants_node;
    UPDATE scan_nodes m SET granted_pps = m.granted_pps + granted, chunks_leased = m.chunks_leased + 1,
            chunks_sending = m.chunks_sending + 1, moved_at = at
        WHERE m.scan_id = wanted_scan AND m.node_id = claimants_node;
    IF NOT FOUND THEN
        INSERT INTO scan_nodes VALUES (wanted_scan, claimants_node, granted, 1, 1, 0, 0, 0, 0, 0, at);
    END IF;
    is_locked := pg_advisory_xact_lock(1668247672, hashtext(wanted_scan::text)) IS NULL;
    IF scans_rate < (SELECT sum(every.granted_pps) FROM scan_nodes every WHERE every.scan_id = wanted_scan) THEN
        RAISE EXCEPTION USING ERRCODE = 'CX001', MESSAGE = 'others were granted the rate at the same moment';
    END IF;
    outcome := 'leased'; rate_pps := granted;
    RETURN NEXT;
END $$
"""

# One statement for all runs of a worker. A chunk whose row is locked is being settled this moment: it is left alone.
_RENEW = """
CREATE FUNCTION cloudx_renew_chunks(
    holder text, scan_ids uuid[], numbers integer[], attempts integer[], shares double precision[], sendings boolean[],
    lease_seconds double precision
) RETURNS TABLE (place bigint, is_held boolean, policy_version bigint, at timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    RETURN QUERY
    WITH asked AS (
        SELECT * FROM unnest(scan_ids, numbers, attempts, shares, sendings) WITH ORDINALITY
            AS a (scan_id, number, attempt, share, is_sending, place)
    ), held AS (
        SELECT asked.* FROM asked
        JOIN chunks c ON c.scan_id = asked.scan_id AND c.number = asked.number
        JOIN scans s ON s.id = asked.scan_id
        WHERE c.state = 'leased' AND c.attempt = asked.attempt AND c.worker_id = holder
          AND s.status IN ('submitted', 'running')
    ), free AS (
        SELECT c.scan_id, c.number, held.share, held.is_sending FROM held
        JOIN chunks c ON c.scan_id = held.scan_id AND c.number = held.number
        WHERE c.state = 'leased' AND c.attempt = held.attempt AND c.worker_id = holder
        FOR UPDATE OF c SKIP LOCKED
    ), renewed AS (
        UPDATE chunks c SET sent_share = free.share, sending = free.is_sending,
            lease_until = clock_timestamp() + make_interval(secs => lease_seconds)
        FROM free WHERE c.scan_id = free.scan_id AND c.number = free.number
    )
    SELECT asked.place, held.place IS NOT NULL, (SELECT p.version FROM policy_version p),
        clock_timestamp()
    FROM asked LEFT JOIN held ON held.place = asked.place;
END $$
"""

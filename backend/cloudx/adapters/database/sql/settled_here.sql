-- The scan, chunk and node that this transaction has settled, whose findings it may write; no row where it has settled none.
-- The setting only says where to look, and a thief may set it: the proof is that this transaction wrote the chunk's row, which a
-- worker's login cannot but by cloudx_settle_chunk.
CREATE OR REPLACE FUNCTION cloudx_settled_here() RETURNS TABLE (scan_id uuid, number integer, node_id text)
LANGUAGE sql STABLE AS $$
    SELECT c.scan_id, c.number, c.node_id FROM chunks c
    WHERE c.scan_id = nullif(split_part(current_setting('cloudx.settled', true), ' ', 1), '')::uuid
        AND c.number = nullif(split_part(current_setting('cloudx.settled', true), ' ', 2), '')::integer
        AND c.xmin = pg_current_xact_id()::xid AND c.state IN ('done', 'cancelled') AND c.lease_key IS NOT NULL
$$;

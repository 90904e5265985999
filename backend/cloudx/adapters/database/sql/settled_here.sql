-- The chunk and node that this transaction has settled, and the scan under whose id its findings are kept, which it may write; no
-- row where it has settled none. `follower` is the second stage that the chunk is of, if it is. Of a second stage the findings are
-- kept under the first's id (docs/adr/0038).
-- The setting only says where to look, and a thief may set it: the proof is that this transaction wrote the chunk's row, which a
-- worker's login cannot but by cloudx_settle_chunk.
DROP FUNCTION IF EXISTS cloudx_settled_here();
CREATE OR REPLACE FUNCTION cloudx_settled_here() RETURNS TABLE (scan_id uuid, number integer, node_id text, follower uuid)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(s.follows, c.scan_id), c.number, c.node_id, CASE WHEN s.follows IS NOT NULL THEN c.scan_id END
    FROM chunks c JOIN scans s ON s.id = c.scan_id
    WHERE c.scan_id = nullif(split_part(current_setting('cloudx.settled', true), ' ', 1), '')::uuid
        AND c.number = nullif(split_part(current_setting('cloudx.settled', true), ' ', 2), '')::integer
        AND c.xmin = pg_current_xact_id()::xid AND c.state IN ('done', 'cancelled') AND c.lease_key IS NOT NULL
$$;

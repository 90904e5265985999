-- Ends this attempt of this worker at a chunk, if it still holds it (the fence): done, failed, stopped, or given back. A null leaves
-- a column as it is. `may_be_last` is true where nothing of the scan waits for a worker any more, by this transaction's view.
-- A worker's login has no other way to end a lease, so the numbers that go into the scan's books are checked here: what was
-- excluded and what failed is part of the chunk. What it says of its own chunk within that is taken as it is (docs/security.md).
-- It looks for the pending chunk that is claimed last: for any one of them PostgreSQL reads the table from its start, and before the
-- first the index is full of chunks that are pending no more.
-- Lock order: the chunk; by its trigger the node's row in node_grants, then in scan_nodes.
CREATE OR REPLACE FUNCTION cloudx_settle_chunk(
    of_scan uuid, of_number integer, of_attempt integer, holder text, holders_key text, how text, is_final boolean,
    sent double precision, packets bigint, words text, units_excluded bigint, units_failed bigint, units_not_reached bigint,
    times_failed integer, nodes_failed text, wait_seconds double precision
) RETURNS TABLE (is_ours boolean, may_be_last boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
#variable_conflict use_column
DECLARE
    at timestamptz := clock_timestamp();
    is_open boolean;
    new_state text;
BEGIN
    is_ours := false; may_be_last := false;
    SELECT s.status IN ('submitted', 'running') INTO is_open FROM scans s WHERE s.id = of_scan;
    new_state := CASE
        WHEN how = 'done' THEN 'done' WHEN how = 'failed' AND is_final THEN 'failed'
        WHEN how <> 'stopped' AND is_open THEN 'pending' ELSE 'cancelled'
    END;
    IF how = 'stopped' AND is_open THEN
        RETURN NEXT; RETURN;
    END IF;
    UPDATE chunks c SET state = new_state, sending = false, lease_until = NULL,
            lease_key = CASE new_state WHEN 'pending' THEN NULL ELSE c.lease_key END,
            sent_share = greatest(0, least(1, coalesce(sent, c.sent_share))), last_error = coalesce(words, c.last_error),
            excluded_units = coalesce(units_excluded, c.excluded_units),
            failed_units = coalesce(units_failed, c.failed_units),
            not_reached_units = coalesce(units_not_reached, c.not_reached_units),
            failures = coalesce(times_failed, c.failures), failed_nodes = coalesce(nodes_failed, c.failed_nodes),
            available_at = coalesce(at + make_interval(secs => wait_seconds), c.available_at)
        WHERE c.scan_id = of_scan AND c.number = of_number AND c.attempt = of_attempt AND c.worker_id = holder
            AND c.state = 'leased' AND (c.lease_key = holders_key OR cloudx_is_trusted())
            AND coalesce(units_excluded, 0) >= 0 AND coalesce(units_not_reached, 0) BETWEEN 0 AND coalesce(units_failed, 0)
            AND coalesce(units_excluded, 0) + coalesce(units_failed, 0) <= c.address_count * c.port_count;
    IF NOT FOUND THEN
        RETURN NEXT; RETURN;
    END IF;
    UPDATE attempts a SET ended_at = at, outcome = how, packets_sent = packets
        WHERE a.scan_id = of_scan AND a.number = of_number AND a.attempt = of_attempt;
    PERFORM set_config('cloudx.settled', of_scan || ' ' || of_number, true);  -- cloudx_settled_here reads it
    is_ours := true;
    may_be_last := NOT is_open OR (
        SELECT c.number FROM chunks c WHERE c.scan_id = of_scan AND c.state = 'pending' ORDER BY c.claim_order DESC LIMIT 1
    ) IS NULL;
    RETURN NEXT;
END $$;

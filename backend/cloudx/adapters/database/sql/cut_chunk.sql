-- Ends a lease and puts the chunk back in parts: it keeps the addresses before the first edge, a new chunk begins at each edge.
-- False, having written nothing, where this attempt of this worker does not hold it or its scan is over.
-- Lock order: the chunk, the scan's row (which reserves the new numbers), counter rows. A cut never loses or doubles an address: the
-- edges ascend within the chunk.
CREATE OR REPLACE FUNCTION cloudx_cut_chunk(
    of_scan uuid, of_number integer, of_attempt integer, holder text, holders_key text, edges bigint[]
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    cut chunks%ROWTYPE;
    total integer;
BEGIN
    SELECT c.* INTO cut FROM chunks c
        WHERE c.scan_id = of_scan AND c.number = of_number AND c.attempt = of_attempt AND c.worker_id = holder
            AND c.state = 'leased' AND (c.lease_key = holders_key OR cloudx_is_trusted())
        FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    edges := cut.address_start || edges || (cut.address_start + cut.address_count);
    IF cardinality(edges) > 65 OR EXISTS (
        SELECT FROM generate_subscripts(edges, 1) place WHERE place > 1 AND edges[place] <= edges[place - 1]
    ) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'a chunk is cut into at most 64 parts, at edges that ascend within it';
    END IF;
    UPDATE scans s SET chunks_total = s.chunks_total + cardinality(edges) - 2
        WHERE s.id = of_scan AND s.status IN ('submitted', 'running') RETURNING s.chunks_total INTO total;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE attempts a SET ended_at = clock_timestamp(), outcome = 'recut'
        WHERE a.scan_id = of_scan AND a.number = of_number AND a.attempt = of_attempt;
    UPDATE chunks c SET state = 'pending', sending = false, sent_share = 0, lease_until = NULL, lease_key = NULL,
            recuts = c.recuts + 1, available_at = clock_timestamp(), address_count = edges[2] - edges[1],
            zone_limit_pps = CASE WHEN c.zone_limit_pps IS NOT NULL
                THEN greatest(1, c.zone_limit_pps * (edges[2] - edges[1]) / c.address_count) END
        WHERE c.scan_id = of_scan AND c.number = of_number;
    INSERT INTO chunks (
        scan_id, number, claim_order, address_start, address_count, port_start, port_count, state, available_at, attempt, rate_pps,
        sending, sent_share, excluded_units, failed_units, not_reached_units, failures, failed_nodes, recuts, cut_from, zone, zone_limit_pps
    )
    SELECT of_scan, new_number, new_number, edges[part], edges[part + 1] - edges[part], cut.port_start, cut.port_count,
        'pending', clock_timestamp(), 0, 0, false, 0, 0, 0, 0, cut.failures, cut.failed_nodes, cut.recuts + 1,
        coalesce(cut.cut_from, of_number), cut.zone,
        -- A part has at least this: its share of a prefix grows by no more than it has fewer addresses.
        CASE WHEN cut.zone_limit_pps IS NOT NULL
            THEN greatest(1, cut.zone_limit_pps * (edges[part + 1] - edges[part]) / cut.address_count) END
    FROM generate_series(2, cardinality(edges) - 1) part, LATERAL (SELECT total - cardinality(edges) + part) one (new_number);
    RETURN true;
END $$;

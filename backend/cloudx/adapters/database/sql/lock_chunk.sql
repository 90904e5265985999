-- What a chunk's earlier runs came to, locked, if this attempt of this worker holds it; else no row.
CREATE OR REPLACE FUNCTION cloudx_lock_chunk(
    of_scan uuid, of_number integer, of_attempt integer, holder text, holders_key text
) RETURNS TABLE (failures integer, failed_nodes text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT c.failures, c.failed_nodes FROM chunks c
        WHERE c.scan_id = of_scan AND c.number = of_number AND c.attempt = of_attempt AND c.worker_id = holder
            AND c.state = 'leased' AND (c.lease_key = holders_key OR cloudx_is_trusted())
        FOR UPDATE;
END $$;

-- Keeps the address that the packets of an attempt come from, before the first of them leaves: false where this attempt of this worker
-- does not hold the chunk. What was noted first stays. An error where it is no address of one machine.
-- Soft state, like the claim. Lock order: the attempt's row alone; the lease is only looked at.
CREATE OR REPLACE FUNCTION cloudx_note_source(
    of_scan uuid, of_number integer, of_attempt integer, holder text, holders_key text, source inet
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    IF source IS NULL OR masklen(source) <> (CASE family(source) WHEN 4 THEN 32 ELSE 128 END) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'packets come from the address of one machine';
    END IF;
    IF NOT EXISTS (
        SELECT FROM chunks c WHERE c.scan_id = of_scan AND c.number = of_number AND c.attempt = of_attempt
            AND c.worker_id = holder AND c.state = 'leased' AND (c.lease_key = holders_key OR cloudx_is_trusted())
    ) THEN
        RETURN false;
    END IF;
    UPDATE attempts a SET source_ip = source
        WHERE a.scan_id = of_scan AND a.number = of_number AND a.attempt = of_attempt AND a.source_ip IS NULL;
    RETURN true;
END $$;

-- Fails an open scan whose targets have lost their authorisation, by the worker that holds this chunk of it; what is pending is
-- cancelled, and runs end at their next renewal. False where the lease is not its own, or the scan is over.
-- The other stage of a scan of two fails with it.
-- Lock order: the second stage's row, the scan's row, then pending chunks; the lease is only looked at.
CREATE OR REPLACE FUNCTION cloudx_fail_scan(
    of_scan uuid, of_number integer, of_attempt integer, holder text, holders_key text, words text
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    stages uuid[] := ARRAY (
        SELECT unnest(ARRAY[s.id, s.follows, s.followed_by]) FROM scans s WHERE s.id = of_scan
    );
BEGIN
    IF NOT EXISTS (
        SELECT FROM chunks c WHERE c.scan_id = of_scan AND c.number = of_number AND c.attempt = of_attempt
            AND c.worker_id = holder AND c.state = 'leased' AND (c.lease_key = holders_key OR cloudx_is_trusted())
    ) THEN
        RETURN false;
    END IF;
    PERFORM FROM scans s WHERE s.id = ANY (stages) ORDER BY s.id DESC FOR UPDATE;
    UPDATE scans s SET status = 'failed', finished_at = clock_timestamp(), error = words
        WHERE s.id = ANY (stages) AND s.status IN ('submitted', 'running');
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE chunks c SET state = 'cancelled' WHERE c.scan_id = ANY (stages) AND c.state = 'pending';
    PERFORM pg_notify('cloudx_dispatch', '');
    RETURN true;
END $$;

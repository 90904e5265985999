-- Extends the leases that a worker still holds, in one statement for all of its runs, and stores their progress.
-- A chunk whose row is locked is finishing at this moment: SKIP LOCKED leaves it alone, and its lease counts as held.
-- Soft state, like the claim. Renewed is what this attempt of this worker holds, with its process's key (docs/adr/0026).
DROP FUNCTION IF EXISTS cloudx_renew_chunks(
    text, uuid[], integer[], integer[], double precision[], boolean[], double precision
);
CREATE OR REPLACE FUNCTION cloudx_renew_chunks(
    holder text, holders_key text, scan_ids uuid[], numbers integer[], attempts integer[], shares double precision[], sendings boolean[],
    lease_seconds double precision
) RETURNS TABLE (place bigint, is_held boolean, policy_version bigint, at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    RETURN QUERY
    WITH reports AS (
        SELECT * FROM unnest(scan_ids, numbers, attempts, shares, sendings) WITH ORDINALITY
            AS a (scan_id, number, attempt, share, is_sending, place)
    ), held AS (
        SELECT reports.* FROM reports
        JOIN chunks c ON c.scan_id = reports.scan_id AND c.number = reports.number
        JOIN scans s ON s.id = reports.scan_id
        WHERE c.state = 'leased' AND c.attempt = reports.attempt AND c.worker_id = holder
          AND (c.lease_key = holders_key OR cloudx_is_trusted())
          AND s.status IN ('submitted', 'running')
          AND s.paused_at IS NULL AND (s.opens_at IS NULL OR s.opens_at <= clock_timestamp())
          AND (s.closes_at IS NULL OR s.closes_at > clock_timestamp())
    ), free AS (
        SELECT c.scan_id, c.number, held.share, held.is_sending FROM held
        JOIN chunks c ON c.scan_id = held.scan_id AND c.number = held.number
        WHERE c.state = 'leased' AND c.attempt = held.attempt AND c.worker_id = holder
        FOR UPDATE OF c SKIP LOCKED
    ), renewed AS (
        UPDATE chunks c SET sent_share = greatest(0, least(1, free.share)), sending = free.is_sending,
            lease_until = clock_timestamp() + make_interval(secs => least(lease_seconds, 60))
        FROM free WHERE c.scan_id = free.scan_id AND c.number = free.number
    )
    SELECT reports.place, held.place IS NOT NULL, (SELECT p.version FROM policy_version p),
        clock_timestamp()
    FROM reports LEFT JOIN held ON held.place = reports.place;
END $$;

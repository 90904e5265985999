-- Writes the hosts of the chunk that this transaction has settled. Of a host whose ports were cut several chunks tell: what one of
-- them knows is kept. The rows come in address order, so that two commits never wait for each other.
CREATE OR REPLACE FUNCTION cloudx_store_hosts(seen jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT cloudx_is_trusted() AND EXISTS (
        SELECT FROM jsonb_to_recordset(seen) AS host (scan_id uuid, node_id text)
        LEFT JOIN cloudx_settled_here() mine USING (scan_id, node_id) WHERE mine.number IS NULL
    ) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'hosts of a chunk that this transaction does not settle';
    END IF;
    INSERT INTO hosts AS known (scan_id, ip, state, hostname, os_name, observed_at, node_id, extra)
    SELECT scan_id, ip, state, hostname, os_name, observed_at, node_id, extra FROM jsonb_to_recordset(seen) AS host (
        scan_id uuid, ip inet, state text, hostname text, os_name text, observed_at timestamptz, node_id text, extra text
    )
    ON CONFLICT (scan_id, ip) DO UPDATE SET
        state = CASE known.state WHEN 'up' THEN 'up' ELSE excluded.state END,
        hostname = coalesce(excluded.hostname, known.hostname), os_name = coalesce(excluded.os_name, known.os_name),
        extra = coalesce(excluded.extra, known.extra);
END $$;

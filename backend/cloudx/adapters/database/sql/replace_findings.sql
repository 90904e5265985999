-- Writes what a chunk of a second stage found in the place of the first stage's rows of the same addresses and ports, under the
-- first's id: the chunk that this transaction has settled, by scan and node. No other chunk can replace a row.
CREATE OR REPLACE FUNCTION cloudx_replace_findings(seen jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT cloudx_is_trusted() AND EXISTS (
        SELECT FROM jsonb_to_recordset(seen) AS found (scan_id uuid, node_id text)
        LEFT JOIN cloudx_settled_here() mine USING (scan_id, node_id) WHERE mine.follower IS NULL
    ) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'findings of a chunk that this transaction does not settle';
    END IF;
    INSERT INTO findings AS known (scan_id, ip, protocol, port, state, service, hostname, observed_at, node_id, extra)
    SELECT scan_id, ip, protocol, port, state, service, hostname, observed_at, node_id, extra
    FROM jsonb_to_recordset(seen) AS found (
        scan_id uuid, ip inet, protocol text, port integer, state text, service text, hostname text, observed_at timestamptz,
        node_id text, extra text
    )
    ON CONFLICT (scan_id, ip, protocol, port) DO UPDATE SET
        state = excluded.state, service = excluded.service, hostname = coalesce(excluded.hostname, known.hostname),
        observed_at = excluded.observed_at, node_id = excluded.node_id, extra = excluded.extra;
END $$;

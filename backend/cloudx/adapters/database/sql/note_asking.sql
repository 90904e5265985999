-- Remembers that a worker has just asked for work and got none, and forgets earlier workers of its node. A worker that hears of
-- new work rests until then, ten minutes at most, and counts meanwhile as one that asks.
DROP FUNCTION IF EXISTS cloudx_note_asking(text, text, text, uuid, double precision);
CREATE OR REPLACE FUNCTION cloudx_note_asking(
    asker text, askers_node text, can text, wanted_scan uuid, rests_seconds double precision, forget_seconds double precision
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO asking_workers AS known (node_id, worker_id, only_scan, capabilities, asked_at)
        VALUES (
            askers_node, asker, wanted_scan, can,
            clock_timestamp() + make_interval(secs => least(greatest(rests_seconds, 0), 600))
        )
        ON CONFLICT (node_id, worker_id) DO UPDATE SET
            only_scan = excluded.only_scan, capabilities = excluded.capabilities, asked_at = excluded.asked_at;
    DELETE FROM asking_workers w
        WHERE w.node_id = askers_node AND w.asked_at < clock_timestamp() - make_interval(secs => forget_seconds);
END $$;

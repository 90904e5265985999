-- Keeps a scan's counters by node, and the rate each node is granted, whenever a chunk changes hands: no statement can
-- forget them. The trigger `count_chunk` calls it for a chunk that was leased; cloudx_claim_chunk counts a new lease itself.
-- Lock order: the node's row in node_grants, then its rows in scan_nodes.
CREATE OR REPLACE FUNCTION cloudx_count_chunk() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was_sending int := (OLD.state = 'leased' AND OLD.sending)::int;
    is_sending int := (NEW.state = 'leased' AND NEW.sending)::int;
    is_done int := (NEW.state = 'done')::int;
    is_failed int := (NEW.state = 'failed')::int;
    units bigint := NEW.address_count * NEW.port_count;
    delta_pps bigint := NEW.rate_pps * is_sending - OLD.rate_pps * was_sending;
BEGIN
    IF delta_pps <> 0 THEN
        INSERT INTO node_grants AS held VALUES (NEW.node_id, delta_pps)
        ON CONFLICT (node_id) DO UPDATE SET granted_pps = held.granted_pps + excluded.granted_pps;
    END IF;
    INSERT INTO scan_nodes AS counted (
        scan_id, node_id, granted_pps, chunks_leased, chunks_sending, chunks_done, chunks_failed,
        completed_units, failed_units, excluded_units, moved_at
    ) VALUES (
        NEW.scan_id, NEW.node_id, delta_pps,
        (NEW.state = 'leased')::int - (OLD.state = 'leased')::int, is_sending - was_sending, is_done, is_failed,
        is_done * (units - NEW.excluded_units - NEW.failed_units),
        is_failed * units + is_done * NEW.failed_units, is_done * NEW.excluded_units, clock_timestamp()
    ) ON CONFLICT (scan_id, node_id) DO UPDATE SET
        granted_pps = counted.granted_pps + excluded.granted_pps,
        chunks_leased = counted.chunks_leased + excluded.chunks_leased,
        chunks_sending = counted.chunks_sending + excluded.chunks_sending,
        chunks_done = counted.chunks_done + excluded.chunks_done,
        chunks_failed = counted.chunks_failed + excluded.chunks_failed,
        completed_units = counted.completed_units + excluded.completed_units,
        failed_units = counted.failed_units + excluded.failed_units,
        excluded_units = counted.excluded_units + excluded.excluded_units,
        moved_at = excluded.moved_at;
    RETURN NULL;
END $$;

-- A chunk that becomes leased does not fire it: cloudx_claim_chunk counts the new lease.
CREATE OR REPLACE TRIGGER count_chunk AFTER UPDATE OF state, sending, rate_pps ON chunks FOR EACH ROW
WHEN (
    OLD.state = 'leased'
    AND (OLD.state <> NEW.state OR OLD.sending <> NEW.sending OR OLD.rate_pps <> NEW.rate_pps)
)
EXECUTE FUNCTION cloudx_count_chunk();

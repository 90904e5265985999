-- As ../count_chunk.sql; on SQLite it counts new leases too.
CREATE TRIGGER count_chunk AFTER UPDATE OF state, sending, rate_pps ON chunks
WHEN (OLD.state = 'leased' OR NEW.state = 'leased')
    AND (OLD.state <> NEW.state OR OLD.sending <> NEW.sending OR OLD.rate_pps <> NEW.rate_pps)
BEGIN
    INSERT INTO node_grants VALUES (
        NEW.node_id,
        NEW.rate_pps * (NEW.state = 'leased' AND NEW.sending) - OLD.rate_pps * (OLD.state = 'leased' AND OLD.sending)
    ) ON CONFLICT (node_id) DO UPDATE SET granted_pps = node_grants.granted_pps + excluded.granted_pps;
    INSERT INTO scan_nodes (
        scan_id, node_id, granted_pps, chunks_leased, chunks_sending, chunks_done, chunks_failed,
        completed_units, failed_units, excluded_units, moved_at
    ) VALUES (
        NEW.scan_id, NEW.node_id,
        NEW.rate_pps * (NEW.state = 'leased' AND NEW.sending) - OLD.rate_pps * (OLD.state = 'leased' AND OLD.sending),
        (NEW.state = 'leased') - (OLD.state = 'leased'),
        (NEW.state = 'leased' AND NEW.sending) - (OLD.state = 'leased' AND OLD.sending),
        NEW.state = 'done', NEW.state = 'failed',
        (NEW.state = 'done') * (NEW.address_count * NEW.port_count - NEW.excluded_units - NEW.failed_units),
        (NEW.state = 'failed') * NEW.address_count * NEW.port_count + (NEW.state = 'done') * NEW.failed_units,
        (NEW.state = 'done') * NEW.excluded_units,
        strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'
    ) ON CONFLICT (scan_id, node_id) DO UPDATE SET
        granted_pps = scan_nodes.granted_pps + excluded.granted_pps,
        chunks_leased = scan_nodes.chunks_leased + excluded.chunks_leased,
        chunks_sending = scan_nodes.chunks_sending + excluded.chunks_sending,
        chunks_done = scan_nodes.chunks_done + excluded.chunks_done,
        chunks_failed = scan_nodes.chunks_failed + excluded.chunks_failed,
        completed_units = scan_nodes.completed_units + excluded.completed_units,
        failed_units = scan_nodes.failed_units + excluded.failed_units,
        excluded_units = scan_nodes.excluded_units + excluded.excluded_units,
        moved_at = excluded.moved_at;
END

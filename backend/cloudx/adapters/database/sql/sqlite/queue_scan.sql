-- As ../queue_scan.sql.
CREATE TRIGGER queue_scan AFTER UPDATE OF status ON scans
WHEN NEW.follows IS NULL AND OLD.status <> NEW.status AND NEW.status IN ('completed', 'failed', 'stopped')
BEGIN
    INSERT INTO deliveries (id, webhook_id, topic, scan_id, state, created_at, next_at)
        SELECT lower(hex(randomblob(16))), w.id, wanted.column1, NEW.id, NEW.status,
            strftime('%Y-%m-%d %H:%M:%f', 'now') || '000', strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'
        FROM webhooks w, (VALUES ('scan.finished'), ('diff.found')) wanted
        WHERE instr(w.topics, wanted.column1) > 0 AND (wanted.column1 = 'scan.finished' OR NEW.status = 'completed');
END

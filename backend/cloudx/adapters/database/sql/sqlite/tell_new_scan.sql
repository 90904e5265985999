-- As ../tell_scan.sql. With one writer at a time each event may count as a transaction: none commits before an earlier one.
CREATE TRIGGER tell_new_scan AFTER INSERT ON scans WHEN NEW.follows IS NULL
BEGIN
    INSERT INTO events (transaction_id, serial, at, type, state, scan_id, detail)
        SELECT (SELECT max(coalesce((SELECT max(transaction_id) FROM events), 0), (SELECT transaction_id FROM pruned_events)) + 1),
            0, strftime('%Y-%m-%d %H:%M:%f', 'now') || '000', 'scan', NEW.status, NEW.id, NEW.error;
    INSERT INTO events (transaction_id, serial, at, type, state, scan_id)
        SELECT (SELECT max(coalesce((SELECT max(transaction_id) FROM events), 0), (SELECT transaction_id FROM pruned_events)) + 1),
            0, strftime('%Y-%m-%d %H:%M:%f', 'now') || '000', 'scan', 'paused', NEW.id WHERE NEW.paused_at IS NOT NULL;
END

-- As ../tell_attempt.sql. With one writer at a time each event may count as a transaction: none commits before an earlier one.
CREATE TRIGGER tell_outcome AFTER UPDATE OF outcome ON attempts WHEN NEW.outcome IS NOT NULL AND NEW.outcome IS NOT OLD.outcome
BEGIN
    INSERT INTO events (transaction_id, serial, at, type, state, scan_id, number, attempt, node_id, detail)
        SELECT (SELECT max(coalesce((SELECT max(transaction_id) FROM events), 0), (SELECT transaction_id FROM pruned_events)) + 1),
            0, strftime('%Y-%m-%d %H:%M:%f', 'now') || '000', 'chunk', NEW.outcome,
            coalesce(one.follows, NEW.scan_id), NEW.number, NEW.attempt, NEW.node_id,
            CASE WHEN one.follows IS NOT NULL THEN 'stage 2' END
        FROM (SELECT (SELECT follows FROM scans WHERE id = NEW.scan_id) AS follows) AS one;
END

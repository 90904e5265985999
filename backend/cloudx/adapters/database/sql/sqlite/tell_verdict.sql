-- As ../tell_node.sql.
CREATE TRIGGER tell_verdict AFTER UPDATE OF status ON told_nodes WHEN OLD.status <> NEW.status
BEGIN
    INSERT INTO events (transaction_id, serial, at, type, state, node_id, detail)
        SELECT (SELECT max(coalesce((SELECT max(transaction_id) FROM events), 0), (SELECT transaction_id FROM pruned_events)) + 1),
            0, strftime('%Y-%m-%d %H:%M:%f', 'now') || '000', 'node', NEW.status, NEW.node_id, OLD.status;
END

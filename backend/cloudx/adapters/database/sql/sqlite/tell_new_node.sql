-- As ../tell_node.sql.
CREATE TRIGGER tell_new_node AFTER INSERT ON told_nodes
BEGIN
    INSERT INTO events (transaction_id, serial, at, type, state, node_id)
        SELECT (SELECT max(coalesce((SELECT max(transaction_id) FROM events), 0), (SELECT transaction_id FROM pruned_events)) + 1),
            0, strftime('%Y-%m-%d %H:%M:%f', 'now') || '000', 'node', NEW.status, NEW.node_id;
END

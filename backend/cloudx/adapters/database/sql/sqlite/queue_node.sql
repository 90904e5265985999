-- As ../queue_node.sql.
CREATE TRIGGER queue_node AFTER UPDATE OF status ON told_nodes WHEN OLD.status <> NEW.status AND NEW.status = 'offline'
BEGIN
    INSERT INTO deliveries (id, webhook_id, topic, node_id, state, before, created_at, next_at)
        SELECT lower(hex(randomblob(16))), w.id, 'node.lost', NEW.node_id, NEW.status, OLD.status,
            strftime('%Y-%m-%d %H:%M:%f', 'now') || '000', strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'
        FROM webhooks w WHERE instr(w.topics, 'node.lost') > 0;
END

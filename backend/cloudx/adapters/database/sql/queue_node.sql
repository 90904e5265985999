-- Puts into the outbox what webhooks are told of a node that is lost, in the transaction that notes it.
CREATE OR REPLACE FUNCTION cloudx_queue_node() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deliveries (id, webhook_id, topic, node_id, state, before, created_at, next_at)
        SELECT gen_random_uuid(), w.id, 'node.lost', NEW.node_id, NEW.status, OLD.status, clock_timestamp(), clock_timestamp()
        FROM webhooks w WHERE strpos(w.topics, 'node.lost') > 0;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER queue_node AFTER UPDATE OF status ON told_nodes FOR EACH ROW
WHEN (OLD.status <> NEW.status AND NEW.status = 'offline') EXECUTE FUNCTION cloudx_queue_node();

-- Writes the event of a node whose status is told for the first time or anew, or which is gone.
CREATE OR REPLACE FUNCTION cloudx_tell_node() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO events (transaction_id, at, type, state, node_id)
            VALUES (pg_current_xact_id()::text::bigint, clock_timestamp(), 'node', NEW.status, NEW.node_id);
    ELSE
        INSERT INTO events (transaction_id, at, type, state, node_id, detail) VALUES (
            pg_current_xact_id()::text::bigint, clock_timestamp(), 'node',
            CASE TG_OP WHEN 'DELETE' THEN 'gone' ELSE NEW.status END, OLD.node_id, OLD.status
        );
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER tell_node AFTER INSERT OR DELETE ON told_nodes FOR EACH ROW EXECUTE FUNCTION cloudx_tell_node();

CREATE OR REPLACE TRIGGER tell_verdict AFTER UPDATE OF status ON told_nodes FOR EACH ROW
WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION cloudx_tell_node();

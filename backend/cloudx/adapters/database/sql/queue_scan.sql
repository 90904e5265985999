-- Puts into the outbox what webhooks are told of a scan that is over, in the transaction that ends it (docs/adr/0040). Of a scan of
-- two stages the first tells (docs/adr/0038).
CREATE OR REPLACE FUNCTION cloudx_queue_scan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deliveries (id, webhook_id, topic, scan_id, state, created_at, next_at)
        SELECT gen_random_uuid(), w.id, wanted.topic, NEW.id, NEW.status, clock_timestamp(), clock_timestamp()
        FROM webhooks w, unnest(ARRAY['scan.finished', 'diff.found']) wanted (topic)
        WHERE strpos(w.topics, wanted.topic) > 0 AND (wanted.topic = 'scan.finished' OR NEW.status = 'completed');
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER queue_scan AFTER UPDATE OF status ON scans FOR EACH ROW
WHEN (NEW.follows IS NULL AND OLD.status <> NEW.status AND NEW.status IN ('completed', 'failed', 'stopped')) EXECUTE FUNCTION cloudx_queue_scan();

-- Writes the event of a chunk that a worker has claimed, and of an attempt that has ended, however it did. A chunk of a second stage
-- is told as one of its scan, by the first's id (docs/adr/0038).
CREATE OR REPLACE FUNCTION cloudx_tell_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    first uuid := (SELECT s.follows FROM scans s WHERE s.id = NEW.scan_id);
BEGIN
    INSERT INTO events (transaction_id, at, type, state, scan_id, number, attempt, node_id, detail) VALUES (
        pg_current_xact_id()::text::bigint, clock_timestamp(), 'chunk', coalesce(NEW.outcome, 'leased'),
        coalesce(first, NEW.scan_id), NEW.number, NEW.attempt, NEW.node_id, CASE WHEN first IS NOT NULL THEN 'stage 2' END
    );
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER tell_claim AFTER INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION cloudx_tell_attempt();

CREATE OR REPLACE TRIGGER tell_outcome AFTER UPDATE OF outcome ON attempts FOR EACH ROW
WHEN (NEW.outcome IS NOT NULL AND OLD.outcome IS DISTINCT FROM NEW.outcome) EXECUTE FUNCTION cloudx_tell_attempt();

-- Writes the event of a scan that was submitted, changed its status, was paused, resumed or deleted, in the transaction that does it.
-- By triggers, so that no statement can forget it (docs/adr/0039). Of a scan of two stages the first tells (docs/adr/0038).
CREATE OR REPLACE FUNCTION cloudx_tell_scan() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    transaction_number bigint := pg_current_xact_id()::text::bigint;
BEGIN
    IF coalesce(NEW.follows, OLD.follows) IS NOT NULL THEN
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO events (transaction_id, at, type, state, scan_id)
            VALUES (transaction_number, clock_timestamp(), 'scan', 'gone', OLD.id);
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' OR OLD.status <> NEW.status OR NEW.paused_at IS NULL THEN
        INSERT INTO events (transaction_id, at, type, state, scan_id, detail)
            VALUES (transaction_number, clock_timestamp(), 'scan', NEW.status, NEW.id, NEW.error);
    END IF;
    IF NEW.paused_at IS NOT NULL AND (TG_OP = 'INSERT' OR OLD.paused_at IS NULL) THEN
        INSERT INTO events (transaction_id, at, type, state, scan_id)
            VALUES (transaction_number, clock_timestamp(), 'scan', 'paused', NEW.id);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER tell_scan AFTER INSERT OR DELETE ON scans FOR EACH ROW EXECUTE FUNCTION cloudx_tell_scan();

CREATE OR REPLACE TRIGGER tell_status AFTER UPDATE OF status, paused_at ON scans FOR EACH ROW
WHEN (OLD.status <> NEW.status OR (OLD.paused_at IS NULL) <> (NEW.paused_at IS NULL)) EXECUTE FUNCTION cloudx_tell_scan();

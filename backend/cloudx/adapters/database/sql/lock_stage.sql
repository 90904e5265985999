-- Locks the row of a second stage until the transaction ends: who finishes a chunk of the first adds to it, who ends the scan sees
-- all that was added. A worker's login cannot lock a row by itself; it gets no other scan's.
-- Lock order: before everything else.
CREATE OR REPLACE FUNCTION cloudx_lock_stage(second uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM scans s WHERE s.id = second AND s.follows IS NOT NULL FOR UPDATE;
    RETURN FOUND;
END $$;

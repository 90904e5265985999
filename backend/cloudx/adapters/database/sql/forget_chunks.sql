-- Frees the rate of deleted chunks that were sending. The trigger `forget_chunks` calls it once for each DELETE.
-- Lock order: nodes by id, so that two deletes of several scans cannot meet.
CREATE OR REPLACE FUNCTION cloudx_forget_chunks() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    freed record;
BEGIN
    FOR freed IN
        SELECT gone.node_id, sum(gone.rate_pps) AS pps FROM gone
        WHERE gone.state = 'leased' AND gone.sending
        GROUP BY gone.node_id ORDER BY gone.node_id
    LOOP
        UPDATE node_grants SET granted_pps = granted_pps - freed.pps WHERE node_id = freed.node_id;
    END LOOP;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER forget_chunks AFTER DELETE ON chunks REFERENCING OLD TABLE AS gone FOR EACH STATEMENT
EXECUTE FUNCTION cloudx_forget_chunks();

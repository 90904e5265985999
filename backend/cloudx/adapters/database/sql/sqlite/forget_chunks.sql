-- As ../forget_chunks.sql.
CREATE TRIGGER forget_chunks AFTER DELETE ON chunks WHEN OLD.state = 'leased' AND OLD.sending
BEGIN
    UPDATE node_grants SET granted_pps = granted_pps - OLD.rate_pps WHERE node_id = OLD.node_id;
END

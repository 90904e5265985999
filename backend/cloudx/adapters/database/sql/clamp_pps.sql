-- What is granted of a share when this much is free: all of it, at least half of it, or nothing.
-- As domain/rates/grants.py; a contract test holds the two equal.
CREATE OR REPLACE FUNCTION cloudx_clamp_pps(share bigint, free bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN free >= share THEN share WHEN free > 0 AND free * 2 >= share THEN free ELSE 0 END
$$;

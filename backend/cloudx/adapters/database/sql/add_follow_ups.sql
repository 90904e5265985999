-- Queues what follows from the chunk of a first stage that this transaction settles: for each part a chunk of the second stage, by
-- offsets into the addresses of follow_ups. False, having written nothing, where the scan is over.
-- A worker's login has no other way to make chunks: the part has to follow from the chunk that it settles, and all of them together
-- are no more than that chunk covered. Whether their addresses may be probed is decided when they are claimed, as for all chunks.
-- Lock order: the second stage's row, which cloudx_lock_stage has locked.
CREATE OR REPLACE FUNCTION cloudx_add_follow_ups(second uuid, parts jsonb, warning text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    first uuid;
    covered bigint;
    number_before integer;
    hosts_before bigint;
    units_before bigint;
    widest bigint;
BEGIN
    SELECT c.scan_id, c.address_count * c.port_count INTO first, covered
        FROM cloudx_settled_here() mine JOIN chunks c ON c.scan_id = mine.scan_id AND c.number = mine.number AND c.state = 'done'
        WHERE mine.follower IS NULL;
    IF first IS NULL OR EXISTS (
        SELECT FROM jsonb_to_recordset(parts) AS part (address_count bigint, port_count integer)
        HAVING sum(part.address_count * part.port_count) > covered OR min(part.address_count) < 1 OR min(part.port_count) < 1
    ) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'more follows than the chunk covered that this transaction settles';
    END IF;
    SELECT s.chunks_total, s.target_count, s.followed_units, s.widest_chunk INTO number_before, hosts_before, units_before, widest
        FROM scans s WHERE s.id = second AND s.follows = first AND s.status IN ('submitted', 'running');
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    WITH placed AS (
        SELECT number_before + place::integer - 1 AS number, one.*,
            hosts_before + sum(one.address_count) OVER before - one.address_count AS address_start,
            units_before + sum(one.address_count * one.port_count) OVER before - one.address_count * one.port_count AS earlier
        FROM ROWS FROM (jsonb_to_recordset(parts) AS (
            address_count bigint, port_count integer, addresses text, ports text,
            settled_before double precision, settled_after double precision
        )) WITH ORDINALITY AS one (
            address_count, port_count, addresses, ports, settled_before, settled_after, place
        )
        WINDOW before AS (ORDER BY place)
    ), kept AS (
        INSERT INTO follow_ups (
            scan_id, address_start, address_count, addresses, ports, units_before, units, settled_before, settled_after
        )
        SELECT second, p.address_start, p.address_count, p.addresses, p.ports, p.earlier, p.address_count * p.port_count,
            p.settled_before, p.settled_after
        FROM placed p
    ), queued AS (
        INSERT INTO chunks (
            scan_id, number, claim_order, address_start, address_count, port_start, port_count, state, attempt, rate_pps,
            sending, sent_share, excluded_units, failed_units, not_reached_units, failures, failed_nodes, recuts
        )
        SELECT second, p.number, p.number, p.address_start, p.address_count, 0, p.port_count, 'pending', 0, 0,
            false, 0, 0, 0, 0, 0, '', 0
        FROM placed p
    )
    UPDATE scans s SET chunks_total = s.chunks_total + added.chunks, target_count = s.target_count + added.hosts,
        followed_units = s.followed_units + added.units, widest_chunk = greatest(s.widest_chunk, added.widest),
        warnings = CASE WHEN warning IS NULL OR jsonb_array_length(s.warnings::jsonb) >= 10 THEN s.warnings
            ELSE (s.warnings::jsonb || to_jsonb(warning))::text END
        FROM (
            SELECT count(*) AS chunks, coalesce(sum(p.address_count), 0) AS hosts,
                coalesce(sum(p.address_count * p.port_count), 0) AS units, coalesce(max(p.address_count), 0) AS widest
            FROM placed p
        ) added
        WHERE s.id = second;
    RETURN true;
END $$;

-- Leases one chunk of a scan with caps by prefix (docs/adr/0045), as cloudx_claim_chunk does of one without. A chunk uses the part
-- rate_pps / zone_limit_pps of its zone; the parts of all leased chunks of a zone, the waiting for late replies included, add up to 1
-- at most. A zone of which over a half is in use gives none, so that no chunk creeps.
-- Lock order: the node's row in node_grants; an advisory lock for the scan's claims, held to the commit; the scan's row (at its first
-- claim alone); one pending chunk (SKIP LOCKED); the node's row in scan_nodes. Who holds the advisory lock waits for nobody that waits
-- for it: of one scan all claims come by here, and settling takes no such lock.
CREATE OR REPLACE FUNCTION cloudx_claim_in_zone(
    wanted_scan uuid, claimant text, holders_key text, claimants_node text, share bigint, limit_pps bigint,
    lease_seconds double precision
) RETURNS TABLE (
    outcome text, number integer, address_start bigint, address_count bigint, port_start integer, port_count integer,
    attempt integer, rate_pps bigint, lease_until timestamptz, policy_version bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    is_soft text := set_config('synchronous_commit', 'off', true);
    is_locked boolean;
    scans_rate bigint;
    scans_status text;
    may_run boolean;
    registered bigint;
    node_granted bigint;
    scan_granted bigint;
    granted bigint;
    chosen integer;
    zone_free bigint;
    at timestamptz;
BEGIN
    INSERT INTO node_grants VALUES (claimants_node, 0) ON CONFLICT DO NOTHING;
    SELECT held.granted_pps INTO node_granted FROM node_grants held WHERE held.node_id = claimants_node FOR UPDATE;
    is_locked := pg_advisory_xact_lock(1668247672, hashtext(wanted_scan::text)) IS NULL;
    at := clock_timestamp();
    SELECT s.rate_pps, s.status, p.version, (SELECT n.rate_limit_pps FROM nodes n WHERE n.node_id = claimants_node),
            (SELECT sum(every.granted_pps) FROM scan_nodes every WHERE every.scan_id = wanted_scan),
            s.paused_at IS NULL AND (s.opens_at IS NULL OR s.opens_at <= at) AND (s.closes_at IS NULL OR s.closes_at > at)
        INTO scans_rate, scans_status, policy_version, registered, scan_granted, may_run
        FROM scans s, policy_version p WHERE s.id = wanted_scan AND p.id = 1;
    IF NOT FOUND OR scans_status NOT IN ('submitted', 'running') THEN
        outcome := 'over'; RETURN NEXT; RETURN;
    END IF;
    IF NOT may_run THEN
        outcome := 'no_chunk'; RETURN NEXT; RETURN;
    END IF;
    limit_pps := least(limit_pps, registered);
    share := greatest(0, least(share, limit_pps));
    granted := cloudx_clamp_pps(share, least(limit_pps - node_granted, scans_rate - coalesce(scan_granted, 0)));
    IF granted = 0 THEN
        outcome := CASE cloudx_clamp_pps(share, limit_pps - node_granted) WHEN 0 THEN 'node_full' ELSE 'no_rate' END;
        RETURN NEXT; RETURN;
    END IF;
    WITH used AS (
        SELECT c.zone, sum(c.rate_pps::double precision / c.zone_limit_pps) AS part FROM chunks c
        WHERE c.scan_id = wanted_scan AND c.state = 'leased' AND c.zone_limit_pps IS NOT NULL GROUP BY c.zone
    )
    SELECT c.number, floor((1 - coalesce(used.part, 0)) * c.zone_limit_pps + 1e-6) INTO chosen, zone_free
        FROM chunks c LEFT JOIN used ON used.zone = c.zone
        WHERE c.scan_id = wanted_scan AND c.state = 'pending' AND (c.available_at IS NULL OR c.available_at <= at)
            AND (c.zone_limit_pps IS NULL
                OR (coalesce(used.part, 0) <= 0.5 AND (1 - coalesce(used.part, 0)) * c.zone_limit_pps + 1e-6 >= 1))
            AND strpos(E'\n' || c.failed_nodes, E'\n!' || claimants_node || E'\n') = 0
        ORDER BY strpos(E'\n' || c.failed_nodes, E'\n' || claimants_node || E'\n') > 0, c.claim_order
        LIMIT 1 FOR UPDATE OF c SKIP LOCKED;
    IF NOT FOUND THEN
        outcome := CASE WHEN EXISTS (SELECT FROM chunks c WHERE c.scan_id = wanted_scan AND c.state = 'pending')
            THEN 'no_rate' ELSE 'no_chunk' END;
        RETURN NEXT; RETURN;
    END IF;
    granted := least(granted, coalesce(zone_free, granted));
    IF scans_status = 'submitted' THEN
        UPDATE scans s SET status = 'running', started_at = at WHERE s.id = wanted_scan AND s.status = 'submitted';
    END IF;
    lease_until := at + make_interval(secs => least(lease_seconds, 60));
    UPDATE chunks c SET state = 'leased', attempt = c.attempt + 1, worker_id = claimant, node_id = claimants_node,
        lease_key = holders_key,
        rate_pps = granted, lease_until = cloudx_claim_in_zone.lease_until, sending = true, sent_share = 0
        WHERE c.scan_id = wanted_scan AND c.number = chosen
        RETURNING c.number, c.address_start, c.address_count, c.port_start, c.port_count, c.attempt
        INTO number, address_start, address_count, port_start, port_count, attempt;
    INSERT INTO attempts (
        scan_id, number, attempt, node_id, worker_id, started_at,
        address_start, address_count, port_start, port_count, policy_version
    ) VALUES (
        wanted_scan, number, attempt, claimants_node, claimant, at,
        address_start, address_count, port_start, port_count, policy_version
    );
    UPDATE node_grants held SET granted_pps = held.granted_pps + granted WHERE held.node_id = claimants_node;
    INSERT INTO scan_nodes AS m VALUES (wanted_scan, claimants_node, granted, 1, 1, 0, 0, 0, 0, 0, at)
        ON CONFLICT (scan_id, node_id) DO UPDATE SET granted_pps = m.granted_pps + excluded.granted_pps,
            chunks_leased = m.chunks_leased + 1, chunks_sending = m.chunks_sending + 1, moved_at = at;
    outcome := 'leased'; rate_pps := granted;
    RETURN NEXT;
END $$;

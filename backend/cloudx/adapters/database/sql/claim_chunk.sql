-- Leases one chunk of a scan to a worker at a granted rate, or says why not (outcome).
-- Lock order: the node's row in node_grants; the scan's row (at its first claim alone); one pending chunk (SKIP LOCKED); the
-- node's row in scan_nodes; last an advisory lock for the scan's grants, held only to add up and commit. It is advisory because
-- others hold the scan's row while they wait for the disk. A claim that finds the rate overdrawn raises CX001, and the caller
-- tries again.
-- The function counts the lease itself: the trigger would cost a third of a claim. What it writes is soft state: a lease that a
-- crash of the server takes back is a lost lease (docs/adr/0009).
-- A worker's login has no other way to a lease, so what it passes is bounded here: no share is negative, no lease
-- longer than a minute, no chunk with a cap by prefix, which cloudx_claim_in_zone alone adds up. `holders_key` is its process's secret,
-- without which nobody else settles or renews the lease (docs/adr/0026).
-- The plan is generic, and takes indexes alone: statistics may say that a new scan has no chunks, or that most rows are pending, and
-- a plan made for that reads all of them.
-- A session remembers for two seconds where it found its last chunk in claim order, and looks from there: before it the index is full
-- of chunks that are pending no more, which VACUUM alone takes away, and every look from the start passes by all of them. What was
-- given back meanwhile is found by the next look from the start, or where nothing else waits.
DROP FUNCTION IF EXISTS cloudx_claim_chunk(uuid, text, text, bigint, bigint, double precision);
CREATE OR REPLACE FUNCTION cloudx_claim_chunk(
    wanted_scan uuid, claimant text, holders_key text, claimants_node text, share bigint, limit_pps bigint,
    lease_seconds double precision
) RETURNS TABLE (
    outcome text, number integer, address_start bigint, address_count bigint, port_start integer, port_count integer,
    attempt integer, rate_pps bigint, lease_until timestamptz, policy_version bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
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
    chosen_order integer;
    at timestamptz;
    looked_at timestamptz;  -- from the first chunk on
    head text[] := string_to_array(current_setting('cloudx.head', true), ' ');
    from_order integer := 0;
BEGIN
    SELECT held.granted_pps INTO node_granted FROM node_grants held WHERE held.node_id = claimants_node FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO node_grants VALUES (claimants_node, 0) ON CONFLICT DO NOTHING;
        SELECT held.granted_pps INTO node_granted FROM node_grants held WHERE held.node_id = claimants_node FOR UPDATE;
    END IF;
    SELECT s.rate_pps, s.status, p.version, (SELECT n.rate_limit_pps FROM nodes n WHERE n.node_id = claimants_node),
            (SELECT sum(every.granted_pps) FROM scan_nodes every WHERE every.scan_id = wanted_scan),
            s.paused_at IS NULL AND (s.opens_at IS NULL OR s.opens_at <= clock_timestamp())
                AND (s.closes_at IS NULL OR s.closes_at > clock_timestamp())
        INTO scans_rate, scans_status, policy_version, registered, scan_granted, may_run
        FROM scans s, policy_version p WHERE s.id = wanted_scan AND p.id = 1;
    IF NOT FOUND OR scans_status NOT IN ('submitted', 'running') THEN
        outcome := 'over'; RETURN NEXT; RETURN;
    END IF;
    IF NOT may_run THEN  -- paused, or outside of its hours
        outcome := 'no_chunk'; RETURN NEXT; RETURN;
    END IF;
    limit_pps := least(limit_pps, registered);
    share := greatest(0, least(share, limit_pps));
    granted := cloudx_clamp_pps(share, least(limit_pps - node_granted, scans_rate - coalesce(scan_granted, 0)));
    IF granted = 0 THEN
        outcome := CASE cloudx_clamp_pps(share, limit_pps - node_granted) WHEN 0 THEN 'node_full' ELSE 'no_rate' END;
        RETURN NEXT; RETURN;
    END IF;
    at := clock_timestamp();
    looked_at := at;
    IF scans_status = 'submitted' THEN
        UPDATE scans s SET status = 'running', started_at = at WHERE s.id = wanted_scan AND s.status = 'submitted';
    END IF;
    IF head[1] = wanted_scan::text AND to_timestamp(head[3]::float8) BETWEEN at - interval '2 s' AND at THEN
        from_order := head[2];
        looked_at := to_timestamp(head[3]::float8);
    END IF;
    LOOP
        SELECT c.number, c.claim_order INTO chosen, chosen_order FROM chunks c
            WHERE c.scan_id = wanted_scan AND c.state = 'pending' AND c.claim_order >= from_order AND c.zone_limit_pps IS NULL
                AND (c.available_at IS NULL OR c.available_at <= at)
                -- One condition for both: with two, the planner expects so few rows that it reads and sorts them all.
                AND strpos(replace(E'\n' || c.failed_nodes, E'\n!', E'\n'), E'\n' || claimants_node || E'\n') = 0
            ORDER BY c.claim_order LIMIT 1 FOR UPDATE SKIP LOCKED;
        EXIT WHEN FOUND OR from_order = 0;
        from_order := 0;
        looked_at := at;
    END LOOP;
    IF FOUND THEN
        PERFORM set_config('cloudx.head', concat_ws(' ', wanted_scan, chosen_order, extract(epoch FROM looked_at)), false);
    ELSE  -- a chunk that failed on this node is better than none, unless it cannot send there (!)
        SELECT c.number INTO chosen FROM chunks c
            WHERE c.scan_id = wanted_scan AND c.state = 'pending' AND (c.available_at IS NULL OR c.available_at <= at)
                AND c.zone_limit_pps IS NULL
                AND strpos(E'\n' || c.failed_nodes, E'\n!' || claimants_node || E'\n') = 0
            ORDER BY c.claim_order LIMIT 1 FOR UPDATE SKIP LOCKED;
    END IF;
    IF NOT FOUND THEN
        outcome := 'no_chunk'; RETURN NEXT; RETURN;
    END IF;
    lease_until := at + make_interval(secs => least(lease_seconds, 60));
    UPDATE chunks c SET state = 'leased', attempt = c.attempt + 1, worker_id = claimant, node_id = claimants_node,
        lease_key = holders_key,
        rate_pps = granted, lease_until = cloudx_claim_chunk.lease_until, sending = true, sent_share = 0
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
    UPDATE scan_nodes m SET granted_pps = m.granted_pps + granted, chunks_leased = m.chunks_leased + 1,
            chunks_sending = m.chunks_sending + 1, moved_at = at
        WHERE m.scan_id = wanted_scan AND m.node_id = claimants_node;
    IF NOT FOUND THEN
        INSERT INTO scan_nodes VALUES (wanted_scan, claimants_node, granted, 1, 1, 0, 0, 0, 0, 0, at);
    END IF;
    is_locked := pg_advisory_xact_lock(1668247672, hashtext(wanted_scan::text)) IS NULL;
    IF scans_rate < (SELECT sum(every.granted_pps) FROM scan_nodes every WHERE every.scan_id = wanted_scan) THEN
        RAISE EXCEPTION USING ERRCODE = 'CX001', MESSAGE = 'others were granted the rate at the same moment';
    END IF;
    outcome := 'leased'; rate_pps := granted;
    RETURN NEXT;
END $$;

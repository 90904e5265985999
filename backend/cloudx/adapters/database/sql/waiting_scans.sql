-- The scans with a pending chunk, as a claim for a node sees them, highest priority first, then oldest; `is_asked_for` where a
-- worker of this scan alone has just requested a chunk there. Each with who shares its rate
-- (cloudx_participants), so that a claim asks once: the one scan that a worker serves, or all where they are few; for the others
-- those columns are null. `raw_types` names the types that need a raw socket, as `tool type`.
CREATE OR REPLACE FUNCTION cloudx_waiting_scans(
    claimants_node text, only_scan uuid, raw_types text[], few integer, moment_seconds double precision,
    arrive_seconds double precision
) RETURNS TABLE (
    id text, tool text, type_name text, udp_too boolean, rate_pps bigint, chunks_open bigint, priority integer, created_by text,
    held_pps bigint, served_at timestamptz, is_asked_for boolean, limits_pps bigint[], nodes_each bigint[], is_here boolean,
    limit_here_pps bigint, granted_here_pps bigint, granted_pps bigint, sent_for bigint
) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    asked_for uuid[] := ARRAY (
        SELECT a.only_scan FROM asking_workers a
        WHERE a.node_id = claimants_node AND a.only_scan IS NOT NULL
            AND a.asked_at > clock_timestamp() - make_interval(secs => moment_seconds)
    );
BEGIN
    RETURN QUERY
    WITH waiting AS MATERIALIZED (
        SELECT s.id, s.tool::text AS tool, s.type_name::text AS type_name, s.udp_too, s.rate_pps, s.priority,
            s.created_by::text AS created_by, s.chunks_total - n.settled - n.leased + n.sending AS chunks_open, n.held_pps,
            n.served_at, count(*) OVER () AS many
        FROM scans s CROSS JOIN LATERAL (
            SELECT coalesce(sum(m.chunks_done + m.chunks_failed), 0) AS settled, coalesce(sum(m.chunks_leased), 0) AS leased,
                coalesce(sum(m.chunks_sending), 0) AS sending,
                coalesce(sum(m.granted_pps) FILTER (WHERE m.node_id = claimants_node), 0)::bigint AS held_pps,
                max(m.moved_at) FILTER (WHERE m.node_id = claimants_node) AS served_at
            FROM scan_nodes m WHERE m.scan_id = s.id
        ) n
        WHERE s.status IN ('submitted', 'running') AND s.paused_at IS NULL AND (s.opens_at IS NULL OR s.opens_at <= clock_timestamp())
            AND (s.closes_at IS NULL OR s.closes_at > clock_timestamp())
            AND s.chunks_total > n.settled + n.leased
    )
    SELECT w.id::text, w.tool, w.type_name, w.udp_too, w.rate_pps, w.chunks_open, w.priority, w.created_by, w.held_pps, w.served_at,
        w.id = ANY (asked_for), p.limits_pps, p.nodes_each, p.is_here, p.limit_here_pps, p.granted_here_pps, p.granted_pps, p.sent_for
    FROM waiting w LEFT JOIN LATERAL (
        SELECT * FROM cloudx_participants(
            w.id, claimants_node, w.tool, w.udp_too OR w.tool || ' ' || w.type_name = ANY (raw_types), moment_seconds,
            arrive_seconds
        )
        WHERE CASE WHEN cloudx_waiting_scans.only_scan IS NULL THEN w.many <= few ELSE w.id = cloudx_waiting_scans.only_scan END
        OFFSET 0  -- or the condition becomes the join's, which is looked at when the function has run
    ) p ON true
    ORDER BY w.priority DESC, w.id;
END $$;

-- Who shares a scan's rate, as a claim for one node sees it: the other nodes' limits, each with how many have it (null: none
-- registered), and the node's own part. A node takes part that works on the scan, or did so or requested it just now.
CREATE OR REPLACE FUNCTION cloudx_participants(
    of_scan uuid, claimants_node text, tool text, needs_raw boolean, moment_seconds double precision,
    arrive_seconds double precision
) RETURNS TABLE (
    limits_pps bigint[], nodes_each bigint[], is_here boolean, limit_here_pps bigint, granted_here_pps bigint, granted_pps bigint,
    sent_for bigint
) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    since timestamptz := clock_timestamp() - make_interval(secs => moment_seconds);
BEGIN
    RETURN QUERY
    WITH takes_part AS MATERIALIZED (
        SELECT m.node_id FROM scan_nodes m WHERE m.scan_id = of_scan AND (m.chunks_leased > 0 OR m.moved_at > since)
        UNION
        SELECT a.node_id FROM asking_workers a
            WHERE a.asked_at > since AND (a.only_scan IS NULL OR a.only_scan = of_scan)
                AND strpos(a.capabilities, ',' || tool || ',') > 0
                AND (NOT needs_raw OR strpos(a.capabilities, ',raw_socket,') > 0)
    ), others AS (
        SELECT n.rate_limit_pps, count(*) AS many
        FROM takes_part t LEFT JOIN nodes n ON n.node_id = t.node_id
        WHERE t.node_id <> claimants_node GROUP BY n.rate_limit_pps
    ), granted AS (
        SELECT coalesce(sum(m.granted_pps), 0)::bigint AS all_pps,
            coalesce(sum(m.granted_pps) FILTER (WHERE m.node_id = claimants_node), 0)::bigint AS here_pps
        FROM scan_nodes m WHERE m.scan_id = of_scan
    )
    SELECT (SELECT array_agg(o.rate_limit_pps ORDER BY o.rate_limit_pps) FROM others o),
        (SELECT array_agg(o.many ORDER BY o.rate_limit_pps) FROM others o),
        EXISTS (SELECT FROM takes_part t WHERE t.node_id = claimants_node),
        (SELECT n.rate_limit_pps FROM nodes n WHERE n.node_id = claimants_node), g.here_pps, g.all_pps,
        (
            SELECT count(*) FROM dispatches d
            WHERE d.scan_id = of_scan AND d.state <> 'ended'
                AND d.created_at > clock_timestamp() - make_interval(secs => arrive_seconds)
        )
    FROM granted g;
END $$;

-- What a node sends over all scans, and its runs of one scan that send.
CREATE OR REPLACE FUNCTION cloudx_node_load(of_scan uuid, claimants_node text) RETURNS TABLE (granted_pps bigint, runs bigint)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT
        coalesce((SELECT g.granted_pps FROM node_grants g WHERE g.node_id = claimants_node), 0),
        coalesce((SELECT m.chunks_sending FROM scan_nodes m WHERE m.scan_id = of_scan AND m.node_id = claimants_node), 0)::bigint;
END $$;

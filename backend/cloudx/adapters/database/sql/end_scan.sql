-- Ends a scan whose chunks are all done or failed, with its inline results; or, where `new_status` is null, keeps the results of one
-- that is over and has no run left. False, having written nothing, where that is not so or was done before.
-- A worker's login has no other way to end a scan or to write results: it has to have settled the chunk that it names, and the
-- status follows from the chunks. The words and the results are its own.
-- A scan with a second stage ends with it: `of_scan` is the first, `settled_scan` that of the chunk named.
-- Lock order: the second stage's row, the scan's row. With both locked, nothing can follow any more that is not counted here.
DROP FUNCTION IF EXISTS cloudx_end_scan(uuid, integer, text, text, text, bytea, integer, boolean);
CREATE OR REPLACE FUNCTION cloudx_end_scan(
    of_scan uuid, settled_scan uuid, of_number integer, holders_key text, new_status text, words text,
    document bytea, document_size integer, is_truncated boolean
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    second uuid := (SELECT s.followed_by FROM scans s WHERE s.id = of_scan);
    is_open boolean;
    total bigint;
    done bigint;
    failed bigint;
    leased bigint;
    completed_units bigint;
    failed_units bigint;
BEGIN
    IF NOT cloudx_is_trusted() AND NOT EXISTS (
        SELECT FROM chunks c WHERE c.scan_id = settled_scan AND c.number = of_number AND c.lease_key = holders_key
            AND settled_scan IN (of_scan, second)
    ) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'a scan is ended by who settled a chunk of it';
    END IF;
    IF second IS NOT NULL THEN
        PERFORM FROM scans s WHERE s.id = second FOR UPDATE;
    END IF;
    SELECT s.status IN ('submitted', 'running'), s.chunks_total INTO is_open, total
        FROM scans s WHERE s.id = of_scan FOR UPDATE;
    total := total + coalesce((SELECT s.chunks_total FROM scans s WHERE s.id = second), 0);
    SELECT sum(m.chunks_done), sum(m.chunks_failed), sum(m.chunks_leased), sum(m.completed_units), sum(m.failed_units)
        INTO done, failed, leased, completed_units, failed_units FROM scan_nodes m WHERE m.scan_id IN (of_scan, second);
    IF is_open IS DISTINCT FROM (new_status IS NOT NULL) THEN
        RETURN false;
    ELSIF is_open THEN
        IF total IS DISTINCT FROM done + failed OR new_status IS DISTINCT FROM
                (CASE WHEN failed > 0 OR (completed_units = 0 AND failed_units > 0) THEN 'failed' ELSE 'completed' END) THEN
            RETURN false;
        END IF;
        UPDATE scans s SET status = new_status, finished_at = clock_timestamp(),
            error = CASE new_status WHEN 'failed' THEN words ELSE s.error END WHERE s.id IN (of_scan, second);
    ELSIF leased > 0 OR EXISTS (SELECT FROM inline_results kept WHERE kept.scan_id = of_scan) THEN
        RETURN false;
    END IF;
    INSERT INTO inline_results (scan_id, size, truncated, packed) VALUES (of_scan, document_size, is_truncated, document)
        ON CONFLICT (scan_id) DO UPDATE SET size = excluded.size, truncated = excluded.truncated, packed = excluded.packed;
    RETURN true;
END $$;

-- Who goes ahead of a place in the line of a branch: the first that came before and still waits, but no try that follows a turn
-- that is over. No row: nobody does.
CREATE FUNCTION livingworld.ahead_in_line_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_branch_number integer,
    in_ticket integer,              -- NULL: at the end of the line
    in_now timestamptz
) RETURNS TABLE (request_key text, player text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT w.request_key, w.player FROM livingworld.turn_waiters w
        WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
            AND w.ticket < coalesce(in_ticket, 2147483647) AND w.expires_at > in_now
            AND (w.ticket > 0 OR EXISTS (
                SELECT FROM livingworld.turns f
                WHERE f.world_id = in_world_id AND f.story_id = in_story_id AND f.request_key = w.request_key
                    AND f.state IN ('running', 'failed')
            ))
        ORDER BY w.ticket LIMIT 1;
END
$function$

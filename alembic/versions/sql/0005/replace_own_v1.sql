-- Drop the requests of a player that wait at a branch, but for this one, and say whether the turn that runs there is hers. The
-- caller holds the lock of the story.
CREATE FUNCTION livingworld.replace_own_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_branch_number integer,
    in_request_key text,
    in_player text,
    in_running_key text             -- NULL: none runs
) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
AS $function$
BEGIN
    -- Where such a request is alive, it finds that its place is gone and asks for another one.
    DELETE FROM livingworld.turn_waiters w
    WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
        AND w.ticket > 0 AND w.player = in_player AND w.request_key <> in_request_key;
    PERFORM FROM livingworld.turns t
    WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = in_running_key
        AND t.player = in_player;
    RETURN FOUND;
END
$function$

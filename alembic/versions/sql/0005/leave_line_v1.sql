-- Leave the line of a branch, at the ticket whose turn has come: the other tries of its key follow this one from here. Those
-- that did not ask again in time leave too. The caller holds the lock of the story.
CREATE FUNCTION livingworld.leave_line_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_branch_number integer,
    in_ticket integer,
    in_owner uuid,
    in_now timestamptz
) RETURNS void
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
    DELETE FROM livingworld.turn_waiters w
    WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
        AND (w.ticket = in_ticket AND w.owner = in_owner OR w.expires_at <= in_now);
    UPDATE livingworld.turn_waiters w SET ticket = 0, mergeable = false
    WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
        AND w.ticket = in_ticket AND w.ticket > 0;
END
$function$

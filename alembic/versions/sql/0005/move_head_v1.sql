-- Move the head of a branch to a scene; NULL: before the first one. The caller holds the lock of the story.
CREATE FUNCTION livingworld.move_head_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_branch_number integer,
    in_scene_number integer
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
    UPDATE livingworld.branches b
    SET head_scene_number = in_scene_number, head_timeline = coalesce(p.timeline_number, 1),
        head_position = coalesce(p.position, 0), version = b.version + 1
    FROM (SELECT) nothing LEFT JOIN LATERAL (
        SELECT * FROM livingworld.scenes p
        WHERE p.world_id = in_world_id AND p.story_id = in_story_id AND p.scene_number = in_scene_number OFFSET 0
    ) p ON true
    WHERE b.world_id = in_world_id AND b.story_id = in_story_id AND b.branch_number = in_branch_number;
END
$function$

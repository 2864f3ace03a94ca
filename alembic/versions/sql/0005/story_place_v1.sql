-- Where a story stands: at a scene, or else at the head of a branch. No row: there is no such story, branch or scene.
CREATE FUNCTION livingworld.story_place_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_branch_number integer,       -- NULL: the story's current branch
    in_as_of integer                -- a scene; 0: before the first one; NULL: the head of the branch
) RETURNS TABLE (timeline_number integer, "position" integer, scene_number integer)
LANGUAGE plpgsql
STABLE
ROWS 1
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
AS $function$
BEGIN
    IF in_as_of > 0 THEN
        RETURN QUERY
            SELECT s.timeline_number, s.position, s.scene_number FROM livingworld.scenes s
            WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = in_as_of;
        RETURN;
    END IF;
    RETURN QUERY
        SELECT CASE WHEN in_as_of = 0 THEN 1 ELSE b.head_timeline END,
               CASE WHEN in_as_of = 0 THEN 0 ELSE b.head_position END,
               CASE WHEN in_as_of = 0 THEN 0 ELSE coalesce(b.head_scene_number, 0) END
        FROM livingworld.stories s
        CROSS JOIN LATERAL (
            SELECT * FROM livingworld.branches b
            WHERE b.world_id = in_world_id AND b.story_id = in_story_id
                -- Not coalesce, by which no index is gone down in a database that shows one world only.
                AND b.branch_number = CASE WHEN in_branch_number IS NULL THEN s.current_branch
                                           ELSE in_branch_number END OFFSET 0
        ) b
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id;
END
$function$

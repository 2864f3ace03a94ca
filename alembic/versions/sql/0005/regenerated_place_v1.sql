-- The place of a scene: what it follows, the choice that led to it, the instruction it was written by, and the key that
-- distinguishes this place from every other. No row: the story has no such scene.
CREATE FUNCTION livingworld.regenerated_place_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_scene_number integer
) RETURNS TABLE (base_scene_number integer, choice integer, instruction text, origin_key text)
LANGUAGE plpgsql
STABLE
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
    SELECT s.parent_scene_number, s.chosen_choice, first.instruction, place.origin_key
    FROM livingworld.scenes s
    LEFT JOIN LATERAL (
        SELECT g.request_key FROM livingworld.generations g
        WHERE g.world_id = in_world_id AND g.story_id = in_story_id AND g.scene_number = in_scene_number OFFSET 0
    ) shown ON true
    LEFT JOIN LATERAL (
        SELECT t.origin_key FROM livingworld.turns t
        WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = shown.request_key OFFSET 0
    ) last ON true
    -- A scene that no turn wrote has a place of its own.
    CROSS JOIN LATERAL (
        SELECT coalesce(last.origin_key, 'livingworld:scene:' || in_scene_number) AS origin_key OFFSET 0
    ) place
    LEFT JOIN LATERAL (
        SELECT t.instruction FROM livingworld.turns t
        WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = place.origin_key OFFSET 0
    ) first ON true
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = in_scene_number;
END
$function$

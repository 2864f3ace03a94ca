-- Restore the state that was archived with a generation, at the scene that shows the generation now. The caller holds the lock of the story.
CREATE FUNCTION livingworld.restore_state_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_generation_id uuid,
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
DECLARE
    scene record;
    pair record;
BEGIN
    SELECT s.timeline_number, s.position INTO scene FROM livingworld.scenes s
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = in_scene_number;
    UPDATE livingworld.facts f
    SET archived_in = NULL, timeline_number = scene.timeline_number, position = scene.position, scene_number = in_scene_number
    WHERE f.world_id = in_world_id AND f.archived_in = in_generation_id AND f.story_id = in_story_id;
    UPDATE livingworld.memories m
    SET archived_in = NULL, timeline_number = scene.timeline_number, position = scene.position, scene_number = in_scene_number
    WHERE m.world_id = in_world_id AND m.archived_in = in_generation_id AND m.story_id = in_story_id;
    UPDATE livingworld.relationship_changes c
    SET archived_in = NULL, timeline_number = scene.timeline_number, position = scene.position, scene_number = in_scene_number
    WHERE c.world_id = in_world_id AND c.archived_in = in_generation_id AND c.story_id = in_story_id;
    -- The changes before it may be other ones now.
    FOR pair IN
        SELECT DISTINCT c.source_id, c.target_id FROM livingworld.relationship_changes c
        WHERE c.world_id = in_world_id AND c.scene_number = in_scene_number AND c.story_id = in_story_id
            AND c.archived_in IS NULL
    LOOP
        PERFORM livingworld.refold_relationship_v1(
            in_world_id, in_story_id, pair.source_id, pair.target_id, scene.timeline_number, scene.position, in_scene_number
        );
    END LOOP;
END
$function$

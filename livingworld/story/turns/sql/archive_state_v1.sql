-- Archive what became true in a scene, with the generation whose text is replaced: it is visible no more until it is restored.
-- The caller holds the lock of the story.
CREATE FUNCTION livingworld.archive_state_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_scene_number integer,
    in_generation_id uuid
) RETURNS void
LANGUAGE plpgsql
AS $function$
DECLARE
    scene record;
BEGIN
    SELECT s.timeline_number, s.position INTO scene FROM livingworld.scenes s
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = in_scene_number;
    UPDATE livingworld.facts f SET archived_in = in_generation_id
    WHERE f.world_id = in_world_id AND f.scene_number = in_scene_number AND f.story_id = in_story_id
        AND f.archived_in IS NULL;
    UPDATE livingworld.relationship_changes c SET archived_in = in_generation_id
    WHERE c.world_id = in_world_id AND c.scene_number = in_scene_number AND c.story_id = in_story_id
        AND c.archived_in IS NULL;
    UPDATE livingworld.memories m SET archived_in = in_generation_id
    WHERE m.world_id = in_world_id AND m.timeline_number = scene.timeline_number AND m.story_id = in_story_id
        AND m.position = scene.position AND m.archived_in IS NULL;
END
$function$

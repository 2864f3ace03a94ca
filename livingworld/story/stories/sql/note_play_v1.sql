-- Note in the list of stories by when they were last played that one is played. Comes before the statement that sets
-- stories.last_scene_at, which has to be the same. The caller holds the lock of the story, which is not archived.
CREATE FUNCTION livingworld.note_play_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_played_at timestamptz
) RETURNS void
LANGUAGE plpgsql
AS $function$
DECLARE
    its_status text;
    last_at timestamptz;
BEGIN
    SELECT s.status, coalesce(s.last_scene_at, s.created_at) INTO its_status, last_at FROM livingworld.stories s
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id;
    UPDATE livingworld.story_activity a SET last_scene_at = in_played_at
    WHERE a.world_id = in_world_id AND a.status = its_status AND a.archived = false AND a.last_scene_at = last_at
        AND a.story_id = in_story_id;
END
$function$

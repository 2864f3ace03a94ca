-- Erase what scenes show, and the old copies of what others showed. The place of a scene stays: its number, its parent, its cast,
-- and how many choices it offers. The words of all of them are taken again, since they have those of the instructions too. The
-- caller holds the lock of the story.
CREATE FUNCTION livingworld.erase_scenes_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_numbers integer[],           -- the scenes whose old copies and words go
    in_blank integer[],             -- those of them whose text goes too
    OUT counts jsonb                -- rows by table
)
LANGUAGE plpgsql
AS $function$
DECLARE
    nothing jsonb := '{"content": "", "choices": [], "location": null, "story_time": null, "metadata": {}}';
    changed integer;
BEGIN
    INSERT INTO livingworld.revisions (world_id, entity, entity_id, scene_number, version, content)
    SELECT in_world_id, 'scene', in_story_id, s.scene_number, s.version, nothing || '{"cast": []}' FROM livingworld.scenes s
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = ANY (in_blank);
    UPDATE livingworld.scenes s
    SET content = '', choices = array_fill(''::text, ARRAY[cardinality(s.choices)]), location = NULL, story_time = NULL,
        metadata = '{}', version = s.version + 1, updated_at = now()
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = ANY (in_blank);
    GET DIAGNOSTICS changed = ROW_COUNT;
    counts := jsonb_build_object('scenes', changed);
    UPDATE livingworld.revisions r SET content = r.content || nothing
    WHERE r.world_id = in_world_id AND r.entity = 'scene' AND r.entity_id = in_story_id AND r.scene_number = ANY (in_numbers)
        AND r.content ->> 'content' <> '';
    GET DIAGNOSTICS changed = ROW_COUNT;
    counts := counts || jsonb_build_object('revisions', changed);
    -- The queue first: whoever takes the words of a scene holds its row there.
    DELETE FROM livingworld.unindexed_scenes u
    WHERE u.world_id = in_world_id AND u.story_id = in_story_id AND u.scene_number = ANY (in_numbers);
    DELETE FROM livingworld.scene_words w
    WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.scene_number = ANY (in_numbers);
    GET DIAGNOSTICS changed = ROW_COUNT;
    counts := counts || jsonb_build_object('scene_words', changed);
    INSERT INTO livingworld.unindexed_scenes (world_id, story_id, scene_number, version)
    SELECT in_world_id, in_story_id, s.scene_number, s.version FROM livingworld.scenes s
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = ANY (in_numbers);
END
$function$

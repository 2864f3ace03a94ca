-- Replace the text, choices and cast of a scene by those of a generation. The old ones stay a generation, with what became
-- true in the scene, and a revision. The caller holds the lock of the story.
CREATE FUNCTION livingworld.replace_scene_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_scene_number integer,
    in_generation_id uuid,
    in_branch_number integer        -- the branch that stands there
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
    old record;
    new record;
    old_cast jsonb;
    old_text jsonb;
    written_at timestamptz := clock_timestamp(); -- read under the lock: no write of a story moves it back
BEGIN
    SELECT s.* INTO old FROM livingworld.scenes s
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = in_scene_number;
    -- The turn that keeps the text of a scene that no turn wrote has no token.
    SELECT g.parsed, g.raw_response, t.request_key INTO new FROM livingworld.generations g
    LEFT JOIN livingworld.turns t
        ON t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = g.request_key AND t.token > 0
    WHERE g.world_id = in_world_id AND g.generation_id = in_generation_id;
    SELECT coalesce(jsonb_agg(jsonb_build_object('character_id', m.character_id, 'role', m.role,
                                                 'importance', m.importance) ORDER BY m.character_id), '[]')
    INTO old_cast FROM livingworld.scene_cast m
    WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.scene_number = in_scene_number;
    PERFORM livingworld.archive_state_v1(in_world_id, in_story_id, in_scene_number, (
        SELECT g.generation_id FROM livingworld.generations g
        WHERE g.world_id = in_world_id AND g.story_id = in_story_id AND g.scene_number = in_scene_number
    ));
    old_text := jsonb_build_object(
        'content', old.content, 'location', old.location, 'story_time', old.story_time, 'metadata', old.metadata,
        'choices', to_jsonb(old.choices), 'cast', old_cast
    );
    INSERT INTO livingworld.revisions (world_id, entity, entity_id, scene_number, version, content)
    VALUES (in_world_id, 'scene', in_story_id, in_scene_number, old.version, old_text);
    UPDATE livingworld.generations g SET scene_number = NULL, parsed = old_text
    WHERE g.world_id = in_world_id AND g.story_id = in_story_id AND g.scene_number = in_scene_number;
    UPDATE livingworld.scenes s
    SET content = new.parsed ->> 'content', choices = ARRAY(SELECT jsonb_array_elements_text(new.parsed -> 'choices')),
        location = new.parsed ->> 'location', story_time = new.parsed ->> 'story_time',
        metadata = coalesce(new.parsed -> 'metadata', '{}'), raw_response = new.raw_response, turn_key = new.request_key,
        version = s.version + 1, updated_at = now()
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = in_scene_number;
    INSERT INTO livingworld.unindexed_scenes (world_id, story_id, scene_number, version)
    VALUES (in_world_id, in_story_id, in_scene_number, old.version + 1);
    DELETE FROM livingworld.scene_cast m
    WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.scene_number = in_scene_number;
    INSERT INTO livingworld.scene_cast (world_id, story_id, scene_number, character_id, role, importance)
    SELECT in_world_id, in_story_id, in_scene_number, m.character_id, m.role, m.importance
    FROM jsonb_to_recordset(new.parsed -> 'cast') AS m (character_id uuid, role text, importance double precision);
    -- A caller that decided on the old text has to look again.
    UPDATE livingworld.branches b SET version = b.version + 1, updated_at = now()
    WHERE b.world_id = in_world_id AND b.story_id = in_story_id AND b.branch_number = in_branch_number;
    PERFORM livingworld.note_play_v1(in_world_id, in_story_id, written_at);
    UPDATE livingworld.stories s SET updated_at = written_at, last_scene_at = written_at
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id;
END
$function$

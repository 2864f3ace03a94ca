-- Store what became true in a scene that a turn has brought. The caller holds the lock of the story.
CREATE FUNCTION livingworld.write_turn_state_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_scene_number integer,
    in_state text                   -- {facts, relationships, memories}: what the write functions take, but a character may
                                    -- be named: source_key, target_key, character_key instead of the id
) RETURNS void
LANGUAGE plpgsql
AS $function$
DECLARE
    state json := in_state::json;
    at record;
BEGIN
    SELECT s.timeline_number AS timeline, s.position INTO at FROM livingworld.scenes s
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = in_scene_number;
    PERFORM livingworld.write_facts_v1(
        in_world_id, in_story_id, at.timeline, at.position, in_scene_number, (state -> 'facts')::text
    );
    PERFORM livingworld.write_relationships_v1(
        in_world_id, in_story_id, at.timeline, at.position, in_scene_number,
        livingworld.named_characters_v1(in_world_id, state -> 'relationships', '{source,target}')
    );
    PERFORM livingworld.write_memories_v1(
        in_world_id, in_story_id, at.timeline, at.position, in_scene_number,
        livingworld.named_characters_v1(in_world_id, state -> 'memories', '{character}')
    );
END
$function$

-- Commit one turn, as commit_turns_v1 does, and with it what became true in its scene: all or nothing. A turn that was
-- committed before is answered as it stands, and nothing is written.
CREATE FUNCTION livingworld.commit_turn_with_state_v1(
    in_world_id uuid,
    in_wait boolean,
    in_story_ids uuid[],            -- these are the arguments of commit_turns_v1, each of one turn
    in_request_keys text[],
    in_owners uuid[],
    in_tokens bigint[],
    in_contents text[],
    in_locations text[],
    in_story_times text[],
    in_metadata text[],
    in_raw_responses text[],
    in_choices text[],
    in_cast text[],
    in_spare_ids uuid[],
    in_generations text[],
    in_state text                   -- {facts, relationships, memories}: what the write functions take, but a character may
                                    -- be named: source_key, target_key, character_key instead of the id
) RETURNS TABLE (
    status text, scene_number integer, parent_scene_number integer, "position" integer, branch_number integer,
    chosen_choice integer, created_at timestamptz, awaited boolean, cast_members text
)
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    state json := in_state::json;
    place record;
    story uuid := in_story_ids[1];
    relationships text;
    memories text;
BEGIN
    SELECT c.* INTO status, scene_number, parent_scene_number, "position", branch_number, chosen_choice, created_at, awaited,
                    cast_members
    FROM livingworld.commit_turns_v1(
        in_world_id, in_wait, in_story_ids, in_request_keys, in_owners, in_tokens, in_contents, in_locations, in_story_times,
        in_metadata, in_raw_responses, in_choices, in_cast, in_spare_ids, in_generations
    ) c;
    IF status IN ('committed', 'told_anew') THEN
        SELECT s.timeline_number, s.position INTO place FROM livingworld.scenes s
        WHERE s.world_id = in_world_id AND s.story_id = story AND s.scene_number = commit_turn_with_state_v1.scene_number;
        relationships := livingworld.named_characters_v1(in_world_id, state -> 'relationships', '{source,target}');
        memories := livingworld.named_characters_v1(in_world_id, state -> 'memories', '{character}');
        PERFORM livingworld.write_facts_v1(
            in_world_id, story, place.timeline_number, place.position, scene_number, (state -> 'facts')::text
        );
        PERFORM livingworld.write_relationships_v1(
            in_world_id, story, place.timeline_number, place.position, scene_number, relationships
        );
        PERFORM livingworld.write_memories_v1(
            in_world_id, story, place.timeline_number, place.position, scene_number, memories
        );
    END IF;
    RETURN NEXT;
END
$function$

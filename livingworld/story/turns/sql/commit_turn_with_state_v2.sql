-- Commit one turn with what became true in its scene, as commit_turn_with_state_v1 does, and publish it as commit_turns_v2
-- does.
CREATE FUNCTION livingworld.commit_turn_with_state_v2(
    in_world_id uuid,
    in_wait boolean,
    in_story_ids uuid[],            -- these are the arguments of commit_turn_with_state_v1
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
    in_state text
) RETURNS TABLE (
    status text, scene_number integer, parent_scene_number integer, "position" integer, branch_number integer,
    chosen_choice integer, created_at timestamptz, awaited boolean, cast_members text, followed uuid[]
)
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
BEGIN
    SELECT c.* INTO status, scene_number, parent_scene_number, "position", branch_number, chosen_choice, created_at, awaited,
                    cast_members
    FROM livingworld.commit_turn_with_state_v1(
        in_world_id, in_wait, in_story_ids, in_request_keys, in_owners, in_tokens, in_contents, in_locations, in_story_times,
        in_metadata, in_raw_responses, in_choices, in_cast, in_spare_ids, in_generations, in_state
    ) c;
    IF status IN ('committed', 'told_anew') THEN
        followed := livingworld.publish_turn_v1(
            in_world_id, in_story_ids[1], status, scene_number, branch_number, in_owners[1], in_cast[1]
        );
    END IF;
    RETURN NEXT;
END
$function$

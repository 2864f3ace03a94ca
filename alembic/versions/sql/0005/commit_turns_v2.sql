-- Commit turns as commit_turns_v1 does, and publish what became of each to those who follow its story, and the characters
-- it made to those who follow the world; `followed` says that somebody follows the story. Never changed once released: new
-- behaviour is commit_turns_v3.
CREATE FUNCTION livingworld.commit_turns_v2(
    in_world_id uuid,
    in_wait boolean,
    in_story_ids uuid[],            -- these are the arguments of commit_turns_v1
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
    in_generations text[]
) RETURNS TABLE (
    status text, scene_number integer, parent_scene_number integer, "position" integer, branch_number integer,
    chosen_choice integer, created_at timestamptz, awaited boolean, cast_members text, followed uuid[]
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
AS $function$
#variable_conflict use_column
DECLARE
    place integer := 0;
BEGIN
    FOR status, scene_number, parent_scene_number, "position", branch_number, chosen_choice, created_at, awaited,
        cast_members IN
        SELECT * FROM livingworld.commit_turns_v1(
            in_world_id, in_wait, in_story_ids, in_request_keys, in_owners, in_tokens, in_contents, in_locations,
            in_story_times, in_metadata, in_raw_responses, in_choices, in_cast, in_spare_ids, in_generations
        )
    LOOP
        place := place + 1;
        followed := NULL;
        IF status IN ('committed', 'told_anew') THEN
            followed := livingworld.publish_turn_v1(
                in_world_id, in_story_ids[place], status, scene_number, branch_number, in_owners[place], in_cast[place]
            );
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$

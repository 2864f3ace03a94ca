-- Write the leases and turns that take_turns_v1 grants, and return the context of each. The caller holds the locks of the
-- stories.
CREATE FUNCTION livingworld.grant_turns_v1(
    in_world_id uuid,
    in_taken_at timestamptz,
    in_expires_at timestamptz,
    in_granted integer[],           -- the places in the arrays below of what is granted
    in_story_ids uuid[],
    in_request_keys text[],
    in_request_hashes bytea[],
    in_owners uuid[],
    in_recents integer[],
    in_branches integer[],
    in_versions integer[],
    in_tokens bigint[],
    in_attempts integer[],
    in_bases integer[],
    in_choices integer[],
    in_instructions text[],
    in_origins text[],
    in_regenerated integer[]
) RETURNS SETOF text
LANGUAGE plpgsql
AS $function$
BEGIN
    INSERT INTO livingworld.turn_leases AS l
        (world_id, story_id, branch_number, token, owner, request_key, branch_version, taken_at, expires_at)
    SELECT in_world_id, in_story_ids[g], in_branches[g], in_tokens[g], in_owners[g], in_request_keys[g], in_versions[g],
           in_taken_at, in_expires_at
    FROM unnest(in_granted) AS g
    ON CONFLICT ON CONSTRAINT pk_turn_leases DO UPDATE
    SET token = excluded.token, owner = excluded.owner, request_key = excluded.request_key,
        branch_version = excluded.branch_version, taken_at = excluded.taken_at, expires_at = excluded.expires_at;
    INSERT INTO livingworld.turns AS t
        (world_id, story_id, request_key, request_hash, state, branch_number, base_scene_number, choice, instruction,
         origin_key, regenerates, attempts, token)
    SELECT in_world_id, in_story_ids[g], in_request_keys[g], in_request_hashes[g], 'running', in_branches[g], in_bases[g],
           in_choices[g], in_instructions[g], in_origins[g], in_regenerated[g], in_attempts[g], in_tokens[g]
    FROM unnest(in_granted) AS g
    ON CONFLICT ON CONSTRAINT pk_turns DO UPDATE
    SET state = 'running', branch_number = excluded.branch_number, base_scene_number = excluded.base_scene_number,
        choice = excluded.choice, instruction = excluded.instruction, merged_into = NULL, attempts = excluded.attempts,
        token = excluded.token, updated_at = now();
    RETURN QUERY
        SELECT * FROM livingworld.turn_contexts_v1(
            in_world_id,
            ARRAY(SELECT in_story_ids[g] FROM unnest(in_granted) g), ARRAY(SELECT in_branches[g] FROM unnest(in_granted) g),
            ARRAY(SELECT in_bases[g] FROM unnest(in_granted) g), ARRAY(SELECT in_recents[g] FROM unnest(in_granted) g)
        );
END
$function$

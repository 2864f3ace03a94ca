-- Write the lease and the turn that take_turns_v1 grants; what ran at the branch ends. The caller holds the lock of the story.
CREATE FUNCTION livingworld.grant_turn_v1(
    in_world_id uuid,
    in_taken_at timestamptz,
    in_expires_at timestamptz,
    in_story_id uuid,
    in_branch_number integer,
    in_branch_version integer,
    in_request_key text,
    in_request_hash bytea,
    in_owner uuid,
    in_token bigint,
    in_attempt integer,
    in_base_scene integer,
    in_choice integer,
    in_instruction text,
    in_origin_key text,
    in_regenerates integer,
    in_player text,
    in_own_input jsonb              -- NULL: nothing was merged into the input
) RETURNS void
LANGUAGE plpgsql
AS $function$
DECLARE
    former text;
BEGIN
    SELECT t.request_key INTO former
    FROM livingworld.turn_leases l
    CROSS JOIN LATERAL (
        SELECT t.request_key FROM livingworld.turns t
        WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = l.request_key
            AND t.token = l.token AND t.state = 'running' OFFSET 0
    ) t
    WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.branch_number = in_branch_number
        AND l.token < in_token AND l.owner IS NOT NULL;
    IF FOUND THEN
        PERFORM livingworld.end_turn_v1(in_world_id, in_story_id, former, in_taken_at);
    END IF;
    UPDATE livingworld.turn_leases l
    SET token = in_token, owner = in_owner, request_key = in_request_key, branch_version = in_branch_version,
        taken_at = in_taken_at, expires_at = in_expires_at
    WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.branch_number = in_branch_number;
    IF NOT FOUND THEN
        INSERT INTO livingworld.turn_leases
            (world_id, story_id, branch_number, token, owner, request_key, branch_version, taken_at, expires_at)
        VALUES (in_world_id, in_story_id, in_branch_number, in_token, in_owner, in_request_key, in_branch_version,
                in_taken_at, in_expires_at);
    END IF;
    INSERT INTO livingworld.turns AS t
        (world_id, story_id, request_key, request_hash, state, branch_number, base_scene_number, player, choice,
         instruction, own_input, origin_key, regenerates, attempts, token, created_at,
         updated_at)
    VALUES (in_world_id, in_story_id, in_request_key, in_request_hash, 'running', in_branch_number, in_base_scene,
            in_player, in_choice, in_instruction, in_own_input, in_origin_key, in_regenerates, in_attempt, in_token,
            in_taken_at, now())
    ON CONFLICT ON CONSTRAINT pk_turns DO UPDATE
    SET state = 'running', branch_number = excluded.branch_number, base_scene_number = excluded.base_scene_number,
        choice = excluded.choice, instruction = excluded.instruction, own_input = excluded.own_input,
        merged_into = NULL, attempts = excluded.attempts,
        token = excluded.token, updated_at = excluded.updated_at;
END
$function$

-- Commit one turn. A turn that is held and brings a scene without a cast at the tip of its timeline is committed by
-- statements of one row each; everything else is decided by commit_turns_v1, and nothing is written before. The arguments
-- and the answer are those of commit_turns_v1, without arrays.
--
-- The story is locked by the first statement and everything else is read by later ones: lock_stories_v1 says why.
CREATE FUNCTION livingworld.commit_turn_v1(
    in_world_id uuid,
    in_wait boolean,
    in_publish boolean,
    in_story_id uuid,
    in_request_key text,
    in_owner uuid,
    in_token bigint,
    in_content text,
    in_location text,
    in_story_time text,
    in_metadata text,
    in_raw_response text,
    in_choices text,
    in_cast text,
    in_spare_id uuid,
    in_generation text,
    in_state text,
    OUT status text,
    OUT scene_number integer,
    OUT parent_scene_number integer,
    OUT "position" integer,
    OUT branch_number integer,
    OUT chosen_choice integer,
    OUT created_at timestamptz,
    OUT next_key text,
    OUT followed boolean,
    OUT cast_members text,
    OUT streams uuid[]
)
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    its record;
BEGIN
    IF in_wait THEN
        PERFORM FROM livingworld.stories s
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id FOR NO KEY UPDATE;
    ELSE
        PERFORM FROM livingworld.stories s
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
    IF FOUND AND in_cast IS NULL THEN
        -- The conditions of commit_turns_v1, of which a head that was moved is decided there.
        SELECT t.branch_number, t.base_scene_number, t.choice, t.attempts,
               EXISTS (
                   SELECT FROM livingworld.turn_waiters w
                   WHERE w.world_id = in_world_id AND w.story_id = in_story_id OFFSET 0
               ) OR EXISTS (
                   SELECT FROM livingworld.turns m
                   WHERE m.world_id = in_world_id AND m.merged_into = in_request_key AND m.story_id = in_story_id OFFSET 0
               ) AS awaited,
               in_publish AND EXISTS (
                   SELECT FROM livingworld.live_streams l
                   WHERE l.world_id = in_world_id AND l.stream_id = in_story_id AND l.followed_until > now() OFFSET 0
               ) AS published
        INTO its
        FROM livingworld.turns t
        CROSS JOIN LATERAL (
            SELECT l.branch_version FROM livingworld.turn_leases l
            WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.branch_number = t.branch_number
                AND l.token = in_token AND l.owner = in_owner OFFSET 0
        ) l
        CROSS JOIN LATERAL (
            SELECT FROM livingworld.branches b
            WHERE b.world_id = in_world_id AND b.story_id = in_story_id AND b.branch_number = t.branch_number
                AND b.version = l.branch_version OFFSET 0
        ) b
        WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = in_request_key
            AND t.state = 'running' AND t.token = in_token AND t.regenerates IS NULL;
        IF FOUND THEN
            SELECT 'committed', a.scene_number, a.parent_scene_number, a.position, its.branch_number, its.choice,
                   a.created_at, false
            INTO status, scene_number, parent_scene_number, "position", branch_number, chosen_choice, created_at, followed
            FROM livingworld.append_plain_scene_v1(
                in_world_id, true, false, in_story_id, its.branch_number, coalesce(its.base_scene_number, 0), in_content,
                its.choice, in_location, in_story_time, in_metadata, in_raw_response, in_choices, NULL, NULL,
                in_request_key
            ) a;
        END IF;
    END IF;
    IF status IS NULL THEN
        SELECT * INTO status, scene_number, parent_scene_number, "position", branch_number, chosen_choice, created_at,
                      next_key, followed, cast_members, streams
        FROM livingworld.commit_turns_v1(
            in_world_id, in_wait, in_publish, ARRAY[in_story_id], ARRAY[in_request_key], ARRAY[in_owner],
            ARRAY[in_token], ARRAY[in_content], ARRAY[in_location], ARRAY[in_story_time], ARRAY[in_metadata],
            ARRAY[in_raw_response], ARRAY[in_choices], ARRAY[in_cast], ARRAY[in_spare_id], ARRAY[in_generation],
            ARRAY[in_state]
        );
        RETURN;
    END IF;

    UPDATE livingworld.turns t SET state = 'committed', scene_number = commit_turn_v1.scene_number, updated_at = now()
    WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = in_request_key;
    INSERT INTO livingworld.generations
        (world_id, generation_id, story_id, request_key, attempt, state, scene_number, model, script_version,
         parameters, prompt_digest, raw_response, input_tokens, output_tokens, duration_ms)
    -- Values, because Citus counts what a SELECT found as written, also where it conflicted.
    VALUES (in_world_id, in_owner, in_story_id, in_request_key, its.attempts, 'complete', commit_turn_v1.scene_number,
            in_generation::jsonb ->> 'model', in_generation::jsonb ->> 'script_version',
            coalesce(nullif(in_generation::jsonb -> 'parameters', 'null'), '{}'),
            decode(in_generation::jsonb ->> 'prompt_digest', 'hex'), in_raw_response,
            (in_generation::jsonb ->> 'input_tokens')::integer, (in_generation::jsonb ->> 'output_tokens')::integer,
            (in_generation::jsonb ->> 'duration_ms')::integer)
    ON CONFLICT ON CONSTRAINT pk_generations DO NOTHING;
    IF NOT FOUND THEN -- turn.record has stored what the model answered
        PERFORM livingworld.keep_generations_v1(
            in_world_id, ARRAY[1], ARRAY[status], ARRAY[scene_number], ARRAY[its.attempts], ARRAY[in_story_id],
            ARRAY[in_request_key], ARRAY[in_owner], ARRAY[in_content], ARRAY[in_location], ARRAY[in_story_time],
            ARRAY[in_metadata], ARRAY[in_raw_response], ARRAY[in_choices], ARRAY[in_cast], ARRAY[in_generation]
        );
    END IF;
    IF in_state IS NOT NULL THEN
        PERFORM livingworld.write_turn_state_v1(in_world_id, in_story_id, scene_number, in_state);
    END IF;
    IF its.published THEN
        streams := livingworld.publish_turn_v1(
            in_world_id, in_story_id, status, scene_number, branch_number, in_owner, NULL
        );
    END IF;
    IF its.awaited THEN
        next_key := livingworld.next_in_line_v1(in_world_id, in_story_id, branch_number, clock_timestamp());
        SELECT EXISTS (
            SELECT FROM livingworld.turn_waiters w
            WHERE w.world_id = in_world_id AND w.request_key = in_request_key AND w.story_id = in_story_id
        ) OR EXISTS (
            SELECT FROM livingworld.turns m
            WHERE m.world_id = in_world_id AND m.merged_into = in_request_key AND m.story_id = in_story_id
        ) INTO followed;
    END IF;
END
$function$

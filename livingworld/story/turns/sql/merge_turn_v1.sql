-- Give the turn that waits the combined input, and store the input that came as a part of it. False, and nothing is
-- written, when the look that led here is no longer true: the one that waits has gone on, is gone or was given another
-- input, or the key of the one that came runs, waits, is a part of a turn or was carried out. Locks the story.
CREATE FUNCTION livingworld.merge_turn_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_branch_number integer,
    in_ticket integer,              -- of the one that waits, as take_turns_v1 answered
    in_merges integer,
    in_both_choice integer,         -- the combined input
    in_both_instruction text,
    in_request_key text,            -- the one that came
    in_request_hash bytea,
    in_owner uuid,
    in_choice integer,
    in_instruction text,
    in_player text
) RETURNS boolean
LANGUAGE plpgsql
AS $function$
DECLARE
    right_now timestamptz;
    standing record;
    leader text;
BEGIN
    PERFORM livingworld.lock_stories_v1(in_world_id, true, ARRAY[in_story_id]);
    right_now := clock_timestamp();
    SELECT * INTO standing
    FROM livingworld.request_standing_v1(in_world_id, in_story_id, in_request_key, in_owner, right_now);
    IF standing.stored IS NOT NULL OR standing.follows IS NOT NULL OR standing.again OR standing.ticket IS NOT NULL
        OR standing.request_hash <> in_request_hash
    THEN
        RETURN false;
    END IF;
    SELECT w.request_key INTO leader FROM livingworld.turn_waiters w
    WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
        AND w.ticket = in_ticket AND w.merges = in_merges AND w.expires_at > right_now LIMIT 1;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM livingworld.leave_turn_v1(in_world_id, in_story_id, in_request_key, standing.merged_into, right_now);
    PERFORM livingworld.answer_left_v1(
        in_world_id, in_story_id, in_request_key, false,
        standing.choice IS NOT DISTINCT FROM in_choice AND standing.instruction IS NOT DISTINCT FROM in_instruction
    );
    UPDATE livingworld.turn_waiters w
    SET choice = in_both_choice, instruction = in_both_instruction, merges = w.merges + 1
    WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
        AND w.ticket = in_ticket;
    INSERT INTO livingworld.turns AS t
        (world_id, story_id, request_key, request_hash, state, branch_number, player, choice, instruction, origin_key,
         merged_into, attempts, token, created_at, updated_at)
    VALUES (in_world_id, in_story_id, in_request_key, in_request_hash, 'merged', in_branch_number, in_player, in_choice,
            in_instruction, in_request_key, leader, 0, 0, right_now, now())
    ON CONFLICT ON CONSTRAINT pk_turns DO UPDATE
    SET state = 'merged', merged_into = excluded.merged_into, branch_number = excluded.branch_number,
        choice = excluded.choice, instruction = excluded.instruction, own_input = NULL,
        updated_at = excluded.updated_at;
    RETURN true;
END
$function$

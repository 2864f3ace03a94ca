-- Take turns: one row comes back for each input, in the order of the inputs, and each input is granted or refused alone.
-- After them comes a row of the status 'context' for each that was granted, in the same order.
--
-- The stories are locked first, everything is decided by what is true under the lock and by the clock read after it, and
-- then written. A holding (a row of turn_leases with an owner) is over when it has expired, when it was given back, and
-- when the head of its branch has moved, since then its turn can no longer be committed.
--
-- A request key is one request: an input whose key runs or waits waits for that turn, whatever in_busy says. It is
-- 'following' while the turn runs under another try, or while the one it was merged into runs or waits; at the ticket of its
-- key it is 'waiting', and whichever try of the key asks first when that turn has come is granted.
--
-- Two answers mean "not tried; send it again, alone": 'locked' when in_wait is false and another transaction has the
-- story, and 'deferred' when another input of the same story stands before it.
CREATE FUNCTION livingworld.take_turns_v1(
    in_world_id uuid,
    in_wait boolean,
    in_lease interval,              -- how long a holding lasts unless it is renewed
    in_patience interval,           -- a try that does not ask again for so long has left
    in_story_ids uuid[],
    in_branch_numbers integer[],    -- NULL: the story's current branch
    in_expected_heads integer[],    -- NULL: wherever the branch stands; 0: before the first scene
    in_regenerates integer[],       -- the scene to regenerate; 0: the one at the head; NULL: a new scene
    in_request_keys text[],
    in_request_hashes bytea[],
    in_owners uuid[],               -- one for each try to take a turn; the same again is the same try
    in_choices integer[],
    in_instructions text[],
    in_busy text[],                 -- reject, queue, replace, merge
    in_recents integer[]            -- how many scenes the context has
) RETURNS TABLE (
    status text,                    -- granted, replayed, waiting, following, mergeable, locked, deferred, or why not
    branch_number integer,
    base_scene_number integer,      -- when granted: the head it was taken at; when stale: where the branch stands
    token bigint,
    attempt integer,
    scene_number integer,           -- replayed: the scene that is stored; granted: the one to regenerate
    request_key text,               -- the turn that runs, waits ahead, or is followed
    running_seconds double precision,
    ticket integer,                 -- mergeable: whose input may be combined, with what it is now
    merges integer,
    choice integer,
    instruction text,
    answered uuid,                  -- an answer that an earlier try of the turn, at the same place, has left
    context text
)
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    input record;
    locked uuid[];
    seen uuid[] := '{}';
    right_now timestamptz;
    base integer;
    held boolean;
    live boolean;
    patient boolean;
    next_token bigint;
    next_attempt integer;
    given_choice integer;
    given_instruction text;
    origin text;
    -- Those that are granted, by their place among the inputs, and what is written of them.
    granted integer[] := '{}';
    branches integer[] := '{}';
    versions integer[] := '{}';
    tokens bigint[] := '{}';
    attempts integer[] := '{}';
    bases integer[] := '{}';
    choices integer[] := '{}';
    instructions text[] := '{}';
    origins text[] := '{}';
    regenerated integer[] := '{}';
BEGIN
    locked := livingworld.lock_stories_v1(in_world_id, in_wait, in_story_ids);
    right_now := clock_timestamp();
    -- A crash of the server may forget that a turn was taken, never that one was committed: its holder is fenced, since an
    -- owner is never used twice.
    PERFORM set_config('synchronous_commit', 'off', true);

    FOR input IN
        SELECT * FROM livingworld.asked_turns_v1(
            in_world_id, right_now, in_story_ids, in_branch_numbers, in_expected_heads, in_regenerates, in_request_keys,
            in_request_hashes, in_owners, in_choices, in_instructions, in_busy
        ) AS asked
        ORDER BY asked.ordinal
    LOOP
        branch_number := input.branch;
        base_scene_number := input.head_scene_number;
        scene_number := input.stored;
        request_key := input.holder_key;
        running_seconds := extract(epoch FROM right_now - input.taken_at);
        token := NULL;
        attempt := NULL;
        ticket := NULL;
        merges := NULL;
        choice := NULL;
        instruction := NULL;
        answered := NULL;
        held := coalesce(input.holder IS NOT NULL AND input.expires_at > right_now
            AND input.held_version = input.branch_version, false);
        live := held AND input.holder IS DISTINCT FROM input.owner;
        status := CASE
            WHEN NOT input.found THEN 'story_not_found'
            WHEN locked IS NULL OR input.story_id <> ALL (locked) THEN 'locked'
            WHEN input.story_id = ANY (seen) THEN 'deferred'
            WHEN NOT input.same_request THEN 'request_key_reused'
            WHEN input.stored IS NOT NULL THEN 'replayed'
            WHEN input.archived THEN 'archived'
            WHEN input.branch IS NULL THEN 'branch_not_found'
            WHEN input.follows IS NOT NULL THEN 'following'
            WHEN input.state = 'replaced' AND input.waiting AND input.own_ticket = 0 THEN 'replaced'
            WHEN input.expected_head <> coalesce(input.head_scene_number, 0) THEN 'stale_head'
        END;
        seen := seen || input.story_id;
        IF status IS NOT NULL THEN
            request_key := coalesce(input.follows, request_key);
            IF status = 'following' AND input.follows = input.request_key THEN
                ticket := livingworld.await_turn_v1(
                    in_world_id, input.story_id, input.branch, 0, input.owner, input.request_key, input.request_hash, false,
                    input.former_choice, input.former_instruction, right_now, in_patience
                );
            ELSIF input.waiting AND status NOT IN ('locked', 'deferred') THEN
                -- A try that has an answer waits no longer.
                DELETE FROM livingworld.turn_waiters w
                WHERE w.world_id = in_world_id AND w.story_id = input.story_id AND w.branch_number = input.branch
                    AND w.ticket = input.own_ticket AND w.owner = input.owner;
            END IF;
            RETURN NEXT;
            CONTINUE;
        END IF;

        base := input.head_scene_number;
        IF input.regenerates IS NOT NULL THEN
            scene_number := coalesce(nullif(input.regenerates, 0), base);
            -- The same place again, with another choice or instruction where the input has one.
            SELECT p.base_scene_number, p.choice, p.instruction, p.origin_key
            INTO base, given_choice, given_instruction, origin
            FROM livingworld.regenerated_place_v1(in_world_id, input.story_id, scene_number) p;
            IF NOT FOUND THEN
                status := 'scene_not_found';
                RETURN NEXT;
                CONTINUE;
            END IF;
            given_choice := coalesce(input.own_choice, given_choice);
            given_instruction := coalesce(input.own_instruction, given_instruction);
        ELSE
            origin := input.request_key;
            given_choice := input.own_choice;
            given_instruction := input.own_instruction;
        END IF;
        IF given_choice IS NOT NULL AND NOT EXISTS (
            SELECT FROM livingworld.scenes c
            WHERE c.world_id = in_world_id AND c.story_id = input.story_id AND c.scene_number = base
                AND cardinality(c.choices) >= given_choice
        ) THEN
            status := 'choice_not_found';
            RETURN NEXT;
            CONTINUE;
        END IF;

        patient := input.busy <> 'replace' OR input.own_ticket IS NOT NULL;
        IF NOT held AND patient AND input.earlier_key IS NOT NULL THEN
            live := true;
            request_key := input.earlier_key;
            running_seconds := NULL;
        END IF;
        IF live AND input.busy = 'merge' AND input.own_ticket IS NULL THEN
            SELECT w.request_key, w.ticket, w.merges, w.choice, w.instruction
            INTO request_key, ticket, merges, choice, instruction
            FROM livingworld.turn_waiters w
            WHERE w.world_id = in_world_id AND w.story_id = input.story_id AND w.branch_number = input.branch
                AND w.mergeable AND w.expires_at > right_now AND w.request_key <> input.request_key
            ORDER BY w.ticket LIMIT 1;
            IF FOUND THEN
                status := 'mergeable';
                RETURN NEXT;
                CONTINUE;
            END IF;
            request_key := input.holder_key;
        END IF;
        IF live AND input.busy = 'reject' AND input.own_ticket IS NULL THEN
            status := 'busy';
            RETURN NEXT;
            CONTINUE;
        END IF;
        IF input.own_ticket IS NULL AND NOT input.again AND (input.state IN ('running', 'merged') OR input.took_in) THEN
            PERFORM livingworld.leave_turn_v1(in_world_id, input.story_id, input.request_key, input.merged_into, right_now);
        END IF;
        IF live AND patient THEN
            status := 'waiting';
            ticket := livingworld.await_turn_v1(
                in_world_id, input.story_id, input.branch, input.own_ticket, input.owner, input.request_key,
                input.request_hash, input.own_mergeable, input.own_choice, input.own_instruction, right_now, in_patience
            );
            RETURN NEXT;
            CONTINUE;
        END IF;

        status := 'granted';
        IF input.again THEN
            -- The same try, whose first answer was lost.
            next_token := input.lease_token;
            next_attempt := input.attempts;
        ELSE
            next_token := coalesce(input.lease_token, 0) + 1;
            next_attempt := coalesce(input.attempts, 0) + 1;
            IF input.holder_runs THEN
                PERFORM livingworld.end_turn_v1(in_world_id, input.story_id, input.holder_key, right_now);
            END IF;
        END IF;
        granted := granted || input.ordinal::integer;
        branches[input.ordinal] := input.branch;
        versions[input.ordinal] := input.branch_version;
        tokens[input.ordinal] := next_token;
        attempts[input.ordinal] := next_attempt;
        bases[input.ordinal] := base;
        choices[input.ordinal] := given_choice;
        instructions[input.ordinal] := given_instruction;
        origins[input.ordinal] := origin;
        IF input.regenerates IS NOT NULL THEN
            regenerated[input.ordinal] := scene_number;
        END IF;
        IF input.attempts > 0 THEN
            answered := livingworld.answer_left_v1(
                in_world_id, input.story_id, input.request_key, base IS NOT DISTINCT FROM input.former_base,
                given_choice IS NOT DISTINCT FROM input.former_choice
                    AND given_instruction IS NOT DISTINCT FROM input.former_instruction
            );
        END IF;
        IF input.own_ticket IS NOT NULL THEN
            PERFORM livingworld.leave_line_v1(
                in_world_id, input.story_id, input.branch, input.own_ticket, input.owner, right_now
            );
        END IF;
        base_scene_number := base;
        token := next_token;
        attempt := next_attempt;
        choice := given_choice;
        instruction := given_instruction;
        RETURN NEXT;
    END LOOP;

    IF granted <> '{}' THEN
        RETURN QUERY
            SELECT 'context', NULL::integer, NULL::integer, NULL::bigint, NULL::integer, NULL::integer, NULL::text,
                   NULL::double precision, NULL::integer, NULL::integer, NULL::integer, NULL::text, NULL::uuid, c.context
            FROM livingworld.grant_turns_v1(
                in_world_id, right_now, right_now + in_lease, granted, in_story_ids, in_request_keys, in_request_hashes,
                in_owners, in_recents, branches, versions, tokens, attempts, bases, choices, instructions, origins,
                regenerated
            ) AS c (context);
    END IF;
END
$function$

-- Take turns: one row comes back for each input, with its place among them, and each input is granted or refused alone.
--
-- The stories are locked first. Then what nothing stands in the way of is granted, and each other input is decided by what
-- is true under the lock, after those before it, by the clock read after the locks. A holding (a row of turn_leases with an
-- owner) is over when it has expired or was given back, and when the head of its branch has moved.
--
-- A request key is one request: an input whose key runs or waits waits for that turn, whatever in_busy says. It is
-- 'following' while the turn runs under another try, or while the one it was merged into runs or waits; at the ticket of its
-- key it is 'waiting', and whichever try of the key asks first when that turn has come is granted.
--
-- The answer 'locked' means "not tried; send it again, alone": in_wait is false and another transaction has the story.
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
    in_recents integer[],           -- how many scenes the context has
    in_players text[],
    in_replace_own boolean[]        -- a running turn of the same player ends, and none of hers waits ahead
) RETURNS TABLE (
    place integer,
    status text,                    -- granted, replayed, waiting, following, mergeable, locked, or why not
    branch_number integer,
    base_scene_number integer,      -- when granted: the head it was taken at; when stale: where the branch stands
    token bigint,
    attempt integer,
    scene_number integer,           -- replayed: the scene that is stored; granted: the one to regenerate
    request_key text,               -- the turn that runs, waits ahead, or is followed
    player text,                    -- whose turn that is, where the answer is busy or mergeable
    running_seconds double precision,
    held_until timestamptz,         -- when its lease ends unless it is renewed
    ticket integer,                 -- mergeable: whose input may be combined, with what it is now
    merges integer,
    choice integer,
    instruction text,
    answered uuid,                  -- an answer that an earlier try of the turn, at the same place, has left
    context text,                   -- when granted; see turn_contexts_v1
    next_key text                   -- the request whose turn has come, when this try had an answer and left the line
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
    input record;
    story record;
    standing record;
    branch record;
    lease record;
    locked uuid[];
    right_now timestamptz;
    earlier record;
    base integer;
    given_choice integer;
    given_instruction text;
    origin text;
    held boolean;
    live boolean;
    own boolean;
    patient boolean;
    durability constant text := current_setting('synchronous_commit');
    plain integer[] := '{}';        -- the places of those that are granted together
BEGIN
    locked := livingworld.lock_stories_v1(in_world_id, in_wait, in_story_ids);
    right_now := clock_timestamp();
    -- A crash of the server may forget that a turn was taken, never that one was committed: its holder is fenced, since an
    -- owner is never used twice.
    PERFORM set_config('synchronous_commit', 'off', true);

    -- For fewer stories it is cheaper one by one: the statements for many cost more to start than they save.
    IF cardinality(locked) > 2 THEN
        FOR place, branch_number, base_scene_number, token, context IN
            SELECT * FROM livingworld.take_plain_turns_v1(
                in_world_id, locked, right_now, in_lease, in_story_ids, in_branch_numbers, in_expected_heads, in_regenerates,
                in_request_keys, in_request_hashes, in_owners, in_choices, in_instructions, in_recents, in_players
            )
        LOOP
            status := 'granted';
            attempt := 1;
            choice := in_choices[place];
            instruction := in_instructions[place];
            plain := plain || place;
            RETURN NEXT;
        END LOOP;
    END IF;
    FOR input IN
        SELECT * FROM unnest(
            in_story_ids, in_branch_numbers, in_expected_heads, in_regenerates, in_request_keys, in_request_hashes,
            in_owners, in_choices, in_instructions, in_busy, in_recents, in_players, in_replace_own
        ) WITH ORDINALITY AS given (
            story_id, branch_number, expected_head, regenerates, request_key, request_hash, owner, choice, instruction, busy,
            recent, player, replace_own, ordinal
        )
        WHERE given.ordinal <> ALL (plain)
        ORDER BY given.ordinal
    LOOP
        place := input.ordinal;
        SELECT s.story_id, s.archived_at, s.current_branch INTO story FROM livingworld.stories s
        WHERE s.world_id = in_world_id AND s.story_id = input.story_id;
        SELECT * INTO standing FROM livingworld.request_standing_v1(
            in_world_id, input.story_id, input.request_key, input.owner, right_now
        );
        SELECT b.branch_number, b.head_scene_number, b.version INTO branch FROM livingworld.branches b
        WHERE b.world_id = in_world_id AND b.story_id = input.story_id
            AND b.branch_number = coalesce(input.branch_number, standing.branch_number, story.current_branch);
        SELECT * INTO lease FROM livingworld.turn_leases l
        WHERE l.world_id = in_world_id AND l.story_id = input.story_id AND l.branch_number = branch.branch_number;
        branch_number := branch.branch_number;
        base_scene_number := branch.head_scene_number;
        scene_number := standing.stored;
        request_key := lease.request_key;
        player := NULL;
        running_seconds := extract(epoch FROM right_now - lease.taken_at);
        held_until := lease.expires_at;
        token := NULL;
        attempt := NULL;
        ticket := NULL;
        merges := NULL;
        choice := NULL;
        instruction := NULL;
        answered := NULL;
        context := NULL;
        next_key := NULL;
        held := coalesce(lease.owner IS NOT NULL AND lease.expires_at > right_now
            AND lease.branch_version = branch.version, false);
        live := held AND lease.owner IS DISTINCT FROM input.owner;
        status := CASE
            WHEN story.story_id IS NULL THEN 'story_not_found'
            WHEN locked IS NULL OR input.story_id <> ALL (locked) THEN 'locked'
            WHEN standing.request_hash <> input.request_hash THEN 'request_key_reused'
            WHEN standing.stored IS NOT NULL THEN 'replayed'
            WHEN story.archived_at IS NOT NULL THEN 'archived'
            WHEN branch.branch_number IS NULL THEN 'branch_not_found'
            WHEN standing.follows IS NOT NULL THEN 'following'
            WHEN standing.state = 'replaced' AND standing.waiting AND standing.ticket = 0 THEN 'replaced'
            WHEN input.expected_head <> coalesce(branch.head_scene_number, 0) THEN 'stale_head'
        END;
        IF status = 'replayed' AND current_setting('synchronous_standby_names') <> '' THEN
            -- The standbys may not have the scene, when the session that stored it ended while it waited for them.
            PERFORM set_config('synchronous_commit', durability, true);
        END IF;
        IF status IS NOT NULL THEN
            request_key := coalesce(standing.follows, request_key);
            IF status = 'following' AND standing.follows = input.request_key THEN
                ticket := livingworld.await_turn_v1(
                    in_world_id, input.story_id, branch_number, 0, input.owner, input.request_key, input.request_hash, false,
                    standing.choice, standing.instruction, right_now, in_patience, input.player
                );
            ELSIF standing.waiting AND status <> 'locked' THEN
                -- A try that has an answer waits no longer.
                DELETE FROM livingworld.turn_waiters w
                WHERE w.world_id = in_world_id AND w.story_id = input.story_id AND w.branch_number = branch.branch_number
                    AND w.ticket = standing.ticket AND w.owner = input.owner;
                next_key := livingworld.next_in_line_v1(in_world_id, input.story_id, branch.branch_number, right_now);
            END IF;
            RETURN NEXT;
            CONTINUE;
        END IF;

        base := branch.head_scene_number;
        origin := input.request_key;
        -- With what was merged into it: where it runs, or where it waits.
        given_choice := CASE WHEN standing.again THEN standing.choice
            WHEN standing.ticket IS NOT NULL THEN standing.waiting_choice ELSE input.choice END;
        given_instruction := CASE WHEN standing.again THEN standing.instruction
            WHEN standing.ticket IS NOT NULL THEN standing.waiting_instruction ELSE input.instruction END;
        IF input.regenerates IS NOT NULL THEN
            scene_number := coalesce(nullif(input.regenerates, 0), base);
            -- The same place again, with another choice or instruction where the input has one.
            SELECT p.base_scene_number, coalesce(given_choice, p.choice), coalesce(given_instruction, p.instruction),
                   p.origin_key
            INTO base, given_choice, given_instruction, origin
            FROM livingworld.regenerated_place_v1(in_world_id, input.story_id, scene_number) p;
            IF NOT FOUND THEN
                status := 'scene_not_found';
                RETURN NEXT;
                CONTINUE;
            END IF;
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

        own := false;
        IF input.replace_own THEN
            own := livingworld.replace_own_v1(
                in_world_id, input.story_id, branch.branch_number, input.request_key, input.player,
                CASE WHEN live THEN lease.request_key END
            );
        END IF;
        patient := NOT own AND input.busy <> 'replace' OR standing.ticket IS NOT NULL;
        IF NOT held AND patient THEN
            SELECT * INTO earlier FROM livingworld.ahead_in_line_v1(
                in_world_id, input.story_id, branch.branch_number, standing.ticket, right_now
            );
            IF FOUND THEN
                live := true;
                request_key := earlier.request_key;
                player := earlier.player;
                running_seconds := NULL;
                held_until := NULL;
            END IF;
        END IF;
        IF live AND patient AND input.busy = 'merge' AND standing.ticket IS NULL THEN
            SELECT w.request_key, w.player, w.ticket, w.merges, w.choice, w.instruction
            INTO request_key, player, ticket, merges, choice, instruction
            FROM livingworld.turn_waiters w
            WHERE w.world_id = in_world_id AND w.story_id = input.story_id AND w.branch_number = branch.branch_number
                AND w.mergeable AND w.expires_at > right_now AND w.request_key <> input.request_key
            ORDER BY w.ticket LIMIT 1;
            IF FOUND THEN
                status := 'mergeable';
                RETURN NEXT;
                CONTINUE;
            END IF;
            request_key := lease.request_key;
        END IF;
        IF live AND patient AND input.busy = 'reject' AND standing.ticket IS NULL THEN
            status := 'busy';
            IF held THEN
                SELECT t.player INTO player FROM livingworld.turns t
                WHERE t.world_id = in_world_id AND t.story_id = input.story_id AND t.request_key = lease.request_key;
            END IF;
            RETURN NEXT;
            CONTINUE;
        END IF;
        IF standing.ticket IS NULL AND NOT standing.again AND (standing.state IN ('running', 'merged') OR EXISTS (
            SELECT FROM livingworld.turns m
            WHERE m.world_id = in_world_id AND m.merged_into = input.request_key AND m.story_id = input.story_id
        )) THEN
            PERFORM livingworld.leave_turn_v1(
                in_world_id, input.story_id, input.request_key, standing.merged_into, right_now
            );
        END IF;
        IF live AND patient THEN
            status := 'waiting';
            ticket := livingworld.await_turn_v1(
                in_world_id, input.story_id, branch.branch_number, standing.ticket, input.owner, input.request_key,
                input.request_hash, coalesce(standing.mergeable, input.busy = 'merge'), given_choice, given_instruction,
                right_now, in_patience, input.player
            );
            RETURN NEXT;
            CONTINUE;
        END IF;

        status := 'granted';
        IF standing.again THEN
            -- The same try, whose first answer was lost.
            token := lease.token;
            attempt := standing.attempts;
        ELSE
            token := coalesce(lease.token, 0) + 1;
            attempt := coalesce(standing.attempts, 0) + 1;
        END IF;
        IF standing.attempts > 0 THEN
            answered := livingworld.answer_left_v1(
                in_world_id, input.story_id, input.request_key, base IS NOT DISTINCT FROM standing.base_scene_number,
                given_choice IS NOT DISTINCT FROM standing.choice
                    AND given_instruction IS NOT DISTINCT FROM standing.instruction
            );
        END IF;
        IF standing.ticket IS NOT NULL THEN
            PERFORM livingworld.leave_line_v1(
                in_world_id, input.story_id, branch.branch_number, standing.ticket, input.owner, right_now
            );
        END IF;
        PERFORM livingworld.grant_turn_v1(
            in_world_id, right_now, right_now + in_lease, input.story_id, branch.branch_number, branch.version,
            input.request_key, input.request_hash, input.owner, token, attempt, base, given_choice, given_instruction, origin,
            CASE WHEN input.regenerates IS NOT NULL THEN scene_number END, input.player, CASE
                WHEN input.regenerates IS NULL
                    AND (input.choice, input.instruction) IS DISTINCT FROM (given_choice, given_instruction)
                    THEN jsonb_build_object('choice', input.choice, 'instruction', input.instruction)
            END
        );
        base_scene_number := base;
        choice := given_choice;
        instruction := given_instruction;
        context := livingworld.turn_context_v1(
            in_world_id, input.story_id, branch.branch_number, base, input.recent
        );
        RETURN NEXT;
    END LOOP;
END
$function$

-- Append scenes: one row comes back for each input, in the order of the inputs, and each input succeeds or is refused
-- alone. Three steps: lock the stories; look and decide; write what was accepted (lock_stories_v1 says why apart). One scene
-- alone, where nothing is special, is written by append_plain_scene_v1.
--
-- A cast with a name that no character has is answered by 'newcomers': the caller makes the character first.
--
-- Two answers mean "not tried; send it again, alone": 'locked' when in_wait is false and another transaction has the
-- story (a caller that brings several stories must not wait with one in its hands: it could deadlock, and a slow writer
-- of one story would hold up the others), and 'deferred' when the input, or one of its story before it, depends on
-- another one of the same call.
CREATE FUNCTION livingworld.append_scenes_v1(
    in_world_id uuid,
    in_wait boolean,
    in_publish boolean,             -- false: the caller goes on, and publishes at the end of its transaction
    in_story_ids uuid[],
    in_branch_numbers integer[],    -- NULL: the story's current branch
    in_expected_heads integer[],    -- NULL: wherever the branch stands; 0: before the first scene
    in_contents text[],
    in_chosen_choices integer[],
    in_locations text[],
    in_story_times text[],
    in_metadata text[],             -- a JSON object each; NULL: none
    in_raw_responses text[],
    in_choices text[],              -- an array each, as PostgreSQL writes it: {"Go on","Wait"}; NULL: none
    in_cast text[],                 -- as resolved_cast_v1 takes it; NULL: none
    in_request_keys text[],         -- an array that would hold nothing but NULLs may be NULL itself
    in_request_hashes bytea[],
    in_turn_keys text[] DEFAULT NULL -- the turns that write them
) RETURNS TABLE (
    status text,                    -- appended, replayed, locked, deferred, or why it was refused
    scene_number integer,
    parent_scene_number integer,    -- when refused as stale: where the branch stands
    "position" integer,
    branch_number integer,
    created_at timestamptz,
    followed boolean,               -- it was published to those who follow the story
    cast_members text               -- {character_id, name, role, importance}, names resolved
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
    resolved record;
    cast_problem text;
    locked uuid[];
    written_at timestamptz;
    followed_stories uuid[];
    -- Where the story at hand stands, accepted inputs included.
    at_story uuid;
    at_branch integer;
    at_number integer;
    at_head integer;
    at_position integer;
    at_timeline integer;
    at_tip boolean; -- the next position of the timeline is free
    last_timeline integer;
    new_keys text[];
    deferred boolean;
    verdict text; -- Citus takes no table in an assignment to an element, and no element in an update
    -- The answers, by input.
    answers text[];
    numbers integer[];
    parents integer[];
    positions integer[];
    timelines integer[];
    branches integer[];
    members text[];
    -- Where each story stands in the end.
    moved integer := 0;
    to_stories uuid[] := '{}';
    to_branches integer[] := '{}';
    to_numbers integer[] := '{}';
    to_positions integer[] := '{}';
    to_timelines integer[] := '{}';
    to_last_timelines integer[] := '{}';
    -- Where it stands in the list of stories.
    its_statuses text[] := '{}';
    last_times timestamptz[] := '{}';
    played record;
BEGIN
    IF cardinality(in_story_ids) = 1 AND in_cast IS NULL THEN
        RETURN QUERY
            SELECT * FROM livingworld.append_plain_scene_v1(
                in_world_id, in_wait, in_publish, in_story_ids[1], in_branch_numbers[1], in_expected_heads[1],
                in_contents[1], in_chosen_choices[1], in_locations[1], in_story_times[1], in_metadata[1],
                in_raw_responses[1], in_choices[1], in_request_keys[1], in_request_hashes[1], in_turn_keys[1]
            );
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    answers := array_fill(NULL::text, ARRAY[cardinality(in_story_ids)]);
    numbers := array_fill(NULL::integer, ARRAY[cardinality(in_story_ids)]);
    parents := numbers;
    positions := numbers;
    timelines := numbers;
    branches := numbers;
    members := answers;
    locked := livingworld.lock_stories_v1(in_world_id, in_wait, in_story_ids);
    written_at := clock_timestamp(); -- read under the lock: no write of a story moves it back

    FOR input IN
        SELECT given.*, s.story_id IS NOT NULL AS found, s.archived_at IS NOT NULL AS archived, s.last_scene_number,
               s.last_timeline_number, s.status, s.last_scene_at, s.created_at, b.branch_number AS branch, b.head_scene_number, b.head_timeline, b.head_position,
               t.taken, k.request_hash = given.request_hash AS same_request,
               (k.result ->> 'scene_number')::integer AS earlier_number
        FROM unnest(
            in_story_ids, in_branch_numbers, in_expected_heads, in_chosen_choices, in_cast, in_request_keys,
            in_request_hashes
        ) WITH ORDINALITY AS given (
            story_id, branch_number, expected_head, chosen_choice, cast_members, request_key, request_hash, ordinal
        )
        -- OFFSET 0 keeps the planner from joining in an order that reads every story of the world.
        LEFT JOIN LATERAL (
            SELECT * FROM livingworld.stories s WHERE s.world_id = in_world_id AND s.story_id = given.story_id OFFSET 0
        ) s ON true
        LEFT JOIN LATERAL (
            SELECT * FROM livingworld.branches b
            WHERE b.world_id = in_world_id AND b.story_id = given.story_id
                -- Not coalesce, by which no index is gone down in a database that shows one world only.
                AND b.branch_number = CASE WHEN given.branch_number IS NULL THEN s.current_branch
                                           ELSE given.branch_number END OFFSET 0
        ) b ON true
        LEFT JOIN LATERAL (
            -- The order names the one index that has it, also for a plan that was made while the table was empty.
            SELECT true AS taken FROM livingworld.scenes t
            WHERE t.world_id = in_world_id AND t.timeline_number = b.head_timeline AND t.story_id = given.story_id
                AND t.position > b.head_position AND t.position > 0
            ORDER BY t.timeline_number, t.story_id, t.position LIMIT 1
        ) t ON true
        LEFT JOIN LATERAL (
            SELECT * FROM livingworld.request_keys k
            WHERE k.world_id = in_world_id AND k.scope_id = given.story_id AND k.request_key = given.request_key
            OFFSET 0
        ) k ON true
        ORDER BY given.story_id, given.ordinal
    LOOP
        IF at_story IS DISTINCT FROM input.story_id THEN
            at_story := input.story_id;
            at_branch := input.branch;
            at_number := input.last_scene_number;
            at_head := input.head_scene_number;
            at_position := input.head_position;
            at_timeline := input.head_timeline;
            at_tip := input.taken IS NULL;
            last_timeline := input.last_timeline_number;
            new_keys := '{}';
            deferred := false;
        END IF;
        branches[input.ordinal] := input.branch;
        parents[input.ordinal] := at_head;
        IF input.same_request THEN
            numbers[input.ordinal] := input.earlier_number;
        END IF;
        cast_problem := NULL;
        IF input.cast_members IS NOT NULL THEN
            SELECT c.cast_members, c.newcomers, c.unknown INTO resolved
            FROM livingworld.resolved_cast_v1(in_world_id, input.cast_members) c;
            members[input.ordinal] := resolved.cast_members;
            cast_problem := CASE
                WHEN resolved.unknown THEN 'character_not_found' WHEN resolved.newcomers IS NOT NULL THEN 'newcomers'
            END;
        END IF;
        verdict := CASE
            WHEN NOT input.found THEN 'story_not_found'
            WHEN locked IS NULL OR input.story_id <> ALL (locked) THEN 'locked'
            WHEN input.same_request THEN 'replayed'
            WHEN NOT input.same_request THEN 'request_key_reused'
            WHEN input.archived THEN 'archived'
            WHEN input.branch IS NULL THEN 'branch_not_found'
            WHEN deferred OR input.branch <> at_branch OR input.request_key = ANY (new_keys)
                OR (input.chosen_choice IS NOT NULL AND at_number > input.last_scene_number) THEN 'deferred'
            WHEN input.expected_head <> coalesce(at_head, 0) THEN 'stale_head'
            WHEN input.chosen_choice IS NOT NULL THEN 'choosing'
            WHEN cast_problem IS NOT NULL THEN cast_problem
            ELSE 'appended'
        END;
        IF verdict = 'choosing' THEN
            PERFORM FROM livingworld.scenes c
            WHERE c.world_id = in_world_id AND c.story_id = input.story_id AND c.scene_number = at_head
                AND cardinality(c.choices) >= input.chosen_choice;
            verdict := CASE WHEN FOUND THEN coalesce(cast_problem, 'appended') ELSE 'choice_not_found' END;
        END IF;
        answers[input.ordinal] := verdict;
        deferred := deferred OR answers[input.ordinal] = 'deferred'; -- what was asked for later must not overtake it
        CONTINUE WHEN answers[input.ordinal] <> 'appended';

        IF NOT at_tip THEN
            -- The next position of this timeline is taken: the scene begins a new one.
            last_timeline := last_timeline + 1;
            PERFORM livingworld.open_timeline_v1(in_world_id, input.story_id, last_timeline, at_timeline, at_position);
            at_timeline := last_timeline;
        END IF;
        at_number := at_number + 1;
        at_head := at_number;
        at_position := at_position + 1;
        at_tip := true;
        new_keys := new_keys || input.request_key;

        numbers[input.ordinal] := at_number;
        positions[input.ordinal] := at_position;
        timelines[input.ordinal] := at_timeline;
        IF moved = 0 OR to_stories[moved] <> at_story THEN
            moved := moved + 1;
        END IF;
        to_stories[moved] := at_story;
        to_branches[moved] := at_branch;
        to_numbers[moved] := at_number;
        to_positions[moved] := at_position;
        to_timelines[moved] := at_timeline;
        to_last_timelines[moved] := last_timeline;
        its_statuses[moved] := input.status;
        last_times[moved] := coalesce(input.last_scene_at, input.created_at);
    END LOOP;

    IF moved > 0 THEN
        WITH stored AS (
            INSERT INTO livingworld.scenes
                (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content, choices,
                 chosen_choice, location, story_time, metadata, raw_response, turn_key)
            SELECT in_world_id, g.story_id, g.number, g.parent, g.timeline, g.position, g.content,
                   coalesce(g.choices::text[], '{}'), g.chosen_choice, g.location, g.story_time, coalesce(g.metadata, '{}')::jsonb, g.raw_response,
                   g.turn_key
            FROM unnest(
                answers, in_story_ids, numbers, parents, timelines, positions, in_contents, in_choices, in_chosen_choices,
                in_locations, in_story_times, in_metadata, in_raw_responses, in_turn_keys
            ) AS g (
                answer, story_id, number, parent, timeline, position, content, choices, chosen_choice,
                location, story_time, metadata, raw_response, turn_key
            )
            WHERE g.answer = 'appended'
            RETURNING story_id, scene_number, version
        )
        INSERT INTO livingworld.unindexed_scenes (world_id, story_id, scene_number, version)
        SELECT in_world_id, stored.story_id, stored.scene_number, stored.version FROM stored;

        IF in_cast IS NOT NULL THEN
            INSERT INTO livingworld.scene_cast (world_id, story_id, scene_number, character_id, role, importance)
            SELECT in_world_id, g.story_id, g.number, m.character_id, m.role, m.importance
            FROM unnest(answers, in_story_ids, numbers, members) AS g (answer, story_id, number, cast_members)
            CROSS JOIN LATERAL jsonb_to_recordset(g.cast_members::jsonb)
                AS m (character_id uuid, role text, importance double precision)
            WHERE g.answer = 'appended' AND g.cast_members IS NOT NULL;
        END IF;

        -- The stories and the branches stand in both conditions, so that no plan reads the others.
        UPDATE livingworld.branches b
        SET head_scene_number = t.number, head_timeline = t.timeline, head_position = t."position",
            version = b.version + 1, updated_at = now()
        FROM unnest(to_stories, to_branches, to_numbers, to_timelines, to_positions)
            AS t (story_id, branch, number, timeline, "position")
        WHERE b.world_id = in_world_id AND b.story_id = ANY (to_stories) AND b.branch_number = ANY (to_branches)
            AND b.story_id = t.story_id AND b.branch_number = t.branch;
        -- As note_play_v1 does, with what was read under the lock. One by one: a plan for all reads every story of the world.
        FOR played IN
            SELECT * FROM unnest(to_stories, its_statuses, last_times) AS t (story_id, status, last_at)
        LOOP
            UPDATE livingworld.story_activity a SET last_scene_at = written_at
            WHERE a.world_id = in_world_id AND a.status = played.status AND a.archived = false
                AND a.last_scene_at = played.last_at AND a.story_id = played.story_id;
        END LOOP;
        UPDATE livingworld.stories s
        SET last_scene_number = t.number, last_timeline_number = t.last_timeline, updated_at = written_at,
            last_scene_at = written_at
        FROM unnest(to_stories, to_numbers, to_last_timelines) AS t (story_id, number, last_timeline)
        WHERE s.world_id = in_world_id AND s.story_id = ANY (to_stories) AND s.story_id = t.story_id;

        IF in_request_keys IS NOT NULL THEN
            INSERT INTO livingworld.request_keys (world_id, scope_id, request_key, request_hash, result)
            SELECT in_world_id, g.story_id, g.request_key, g.request_hash, jsonb_build_object('scene_number', g.number)
            FROM unnest(answers, in_story_ids, numbers, in_request_keys, in_request_hashes)
                AS g (answer, story_id, number, request_key, request_hash)
            WHERE g.answer = 'appended' AND g.request_key IS NOT NULL;
        END IF;
        IF in_publish THEN
            followed_stories := livingworld.publish_scenes_v1(in_world_id, answers, in_story_ids, numbers, branches);
        END IF;
    END IF;

    RETURN QUERY
        SELECT g.answer, g.number, g.parent, g.position, g.branch, now(),
               g.answer = 'appended' AND coalesce(g.story_id = ANY (followed_stories), false), g.cast_members
        FROM unnest(answers, numbers, parents, positions, branches, in_story_ids, members)
            AS g (answer, number, parent, position, branch, story_id, cast_members);
END
$function$

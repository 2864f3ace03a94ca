-- Commit turns: one row comes back for each input, in the order of the inputs, and each is committed or refused alone. What
-- became true in a scene is stored with it, all or nothing, and both are published to those who follow the story.
--
-- Under the lock of the story a turn must still be the one that its branch's lease was given to: the token decides, not
-- the clock, and the head must never have moved. The scene is stored by append_scenes_v1, which compares the head with the
-- one the turn was taken at; by moving the head it ends the lease too. A turn that regenerates a scene leaves it to
-- choose_generation_v1. A turn that this token committed already answers with the scene that is stored.
--
-- Two answers mean "not tried; send it again, alone": 'locked' when in_wait is false and another transaction has the
-- story, and 'deferred' when another input of the same story stands before it or a character has to be made for it.
CREATE FUNCTION livingworld.commit_turns_v1(
    in_world_id uuid,
    in_wait boolean,
    in_publish boolean,             -- false: the caller goes on, and publishes at the end of its transaction
    in_story_ids uuid[],
    in_request_keys text[],
    in_owners uuid[],
    in_tokens bigint[],
    in_contents text[],
    in_locations text[],
    in_story_times text[],
    in_metadata text[],             -- a JSON object each; NULL: none
    in_raw_responses text[],
    in_choices text[],              -- as append_scenes_v1 takes them
    -- As resolved_cast_v1 takes it, a name with what make_characters_v1 takes.
    in_cast text[],
    in_spare_ids uuid[],            -- of the generation that keeps the text of a scene that is regenerated and has none
    in_generations text[],          -- {model, script_version, parameters, prompt_digest, ...} each; NULL: nothing is known
    in_states text[]                -- as write_turn_state_v1 takes it; NULL: nothing became true
) RETURNS TABLE (
    status text,                    -- committed, regenerated, replayed, locked, deferred, or why it was refused
    scene_number integer,
    parent_scene_number integer,    -- when refused as stale: where the branch stands
    "position" integer,
    branch_number integer,
    chosen_choice integer,
    created_at timestamptz,
    next_key text,                  -- the request whose turn has come; NULL: none waits
    followed boolean,               -- other tries wait for this turn, with its key or merged into it
    cast_members text,              -- {character_id, name, role, importance}, names resolved
    streams uuid[]                  -- those that it was published to
)
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    input record;
    stored record;
    resolved record;
    made jsonb;
    inputs integer := cardinality(in_story_ids);
    locked uuid[];
    seen uuid[] := '{}';
    answers text[] := array_fill(NULL::text, ARRAY[inputs]);
    numbers integer[] := array_fill(NULL::integer, ARRAY[inputs]);
    parents integer[] := numbers;
    positions integer[] := numbers;
    branches integer[] := numbers;
    chosen integer[] := numbers;
    attempts integer[] := numbers;
    expected integer[] := numbers;
    nobody text[] := answers;
    members text[] := nobody;
    newcomers text[] := nobody;
    -- The stories of those that append a scene, NULL for the others.
    accepted uuid[] := array_fill(NULL::uuid, ARRAY[inputs]);
    awaited uuid[];
    followed_streams uuid[];
    -- Those that append a scene, and those that regenerate one, by their place among the inputs.
    places integer[] := '{}';
    regenerated integer[] := '{}';
    place integer;
    at_story uuid;
    at_key text;
    at_branch integer;
BEGIN
    locked := livingworld.lock_stories_v1(in_world_id, in_wait, in_story_ids);

    FOR input IN
        SELECT given.*, t.state, t.token AS turn_token, t.branch_number, t.base_scene_number, t.choice, t.attempts,
               t.scene_number AS stored_number, t.regenerates, s.story_id IS NOT NULL AS found,
               s.archived_at IS NOT NULL AS archived,
               l.token AS lease_token, l.owner AS holder, l.branch_version AS held_version, b.version AS branch_version,
               b.head_scene_number
        FROM unnest(in_story_ids, in_request_keys, in_owners, in_tokens)
            WITH ORDINALITY AS given (story_id, request_key, owner, token, ordinal)
        LEFT JOIN LATERAL (
            SELECT * FROM livingworld.stories s WHERE s.world_id = in_world_id AND s.story_id = given.story_id OFFSET 0
        ) s ON true
        LEFT JOIN LATERAL (
            SELECT * FROM livingworld.turns t
            WHERE t.world_id = in_world_id AND t.story_id = given.story_id AND t.request_key = given.request_key OFFSET 0
        ) t ON true
        LEFT JOIN LATERAL (
            SELECT * FROM livingworld.turn_leases l
            WHERE l.world_id = in_world_id AND l.story_id = given.story_id AND l.branch_number = t.branch_number OFFSET 0
        ) l ON true
        LEFT JOIN LATERAL (
            SELECT * FROM livingworld.branches b
            WHERE b.world_id = in_world_id AND b.story_id = given.story_id AND b.branch_number = t.branch_number OFFSET 0
        ) b ON true
        ORDER BY given.ordinal
    LOOP
        IF in_cast[input.ordinal] IS NOT NULL THEN
            SELECT c.cast_members, c.newcomers INTO resolved
            FROM livingworld.resolved_cast_v1(in_world_id, in_cast[input.ordinal]) c;
            members[input.ordinal] := resolved.cast_members;
            newcomers[input.ordinal] := resolved.newcomers;
        END IF;
        answers[input.ordinal] := CASE
            WHEN NOT input.found THEN 'story_not_found'
            WHEN locked IS NULL OR input.story_id <> ALL (locked) THEN 'locked'
            WHEN input.story_id = ANY (seen) THEN 'deferred'
            WHEN input.state IS NULL OR input.turn_token <> input.token THEN 'fenced'
            WHEN input.state = 'committed' THEN 'replayed'
            WHEN input.state <> 'running' OR input.lease_token IS DISTINCT FROM input.token
                OR input.holder IS DISTINCT FROM input.owner THEN 'fenced'
            -- The head is where it was, but was moved meanwhile, or its scene became another one.
            WHEN input.held_version <> input.branch_version
                AND (input.regenerates IS NOT NULL OR input.head_scene_number IS NOT DISTINCT FROM input.base_scene_number)
                THEN 'fenced'
            WHEN (newcomers[input.ordinal] IS NOT NULL OR input.regenerates IS NOT NULL) AND NOT in_wait THEN 'deferred'
            WHEN input.regenerates IS NOT NULL THEN CASE WHEN input.archived THEN 'archived' ELSE 'regenerated' END
        END;
        seen := seen || input.story_id;
        numbers[input.ordinal] := input.stored_number;
        branches[input.ordinal] := input.branch_number;
        expected[input.ordinal] := coalesce(input.base_scene_number, 0);
        chosen[input.ordinal] := input.choice;
        attempts[input.ordinal] := input.attempts;
        IF answers[input.ordinal] IS NULL THEN
            places := places || input.ordinal::integer;
            accepted[input.ordinal] := input.story_id;
        ELSIF answers[input.ordinal] = 'regenerated' THEN
            regenerated := regenerated || input.ordinal::integer;
            IF newcomers[input.ordinal] IS NOT NULL THEN
                made := livingworld.make_characters_v1(in_world_id, newcomers[input.ordinal]::json);
                members[input.ordinal] := (coalesce(members[input.ordinal], '[]')::jsonb || made)::text;
            END IF;
        END IF;
    END LOOP;

    IF places <> '{}' THEN
        FOR stored IN
            SELECT a.ordinal::integer AS place, a.status, a.scene_number, a.parent_scene_number, a.position
            FROM livingworld.append_scenes_v1(
                in_world_id, true, false, accepted, branches, expected, in_contents, chosen, in_locations, in_story_times,
                in_metadata, in_raw_responses, in_choices, nullif(members, nobody), NULL, NULL, in_request_keys
            ) WITH ORDINALITY AS a (
                status, scene_number, parent_scene_number, "position", branch_number, created_at, followed, cast_members, ordinal
            )
            WHERE a.ordinal = ANY (places)
        LOOP
            answers[stored.place] := CASE stored.status WHEN 'appended' THEN 'committed' ELSE stored.status END;
            parents[stored.place] := stored.parent_scene_number;
            CONTINUE WHEN stored.status <> 'appended';
            numbers[stored.place] := stored.scene_number;
            positions[stored.place] := stored.position;
            at_story := in_story_ids[stored.place]; -- no element of an array in an update: it crashes Citus
            at_key := in_request_keys[stored.place];
            -- One by one: before PostgreSQL 17 a plan for all that was made while the table was empty reads it whole.
            UPDATE livingworld.turns t SET state = 'committed', scene_number = stored.scene_number, updated_at = now()
            WHERE t.world_id = in_world_id AND t.story_id = at_story AND t.request_key = at_key;
            IF newcomers[stored.place] IS NOT NULL THEN
                made := livingworld.make_characters_v1(in_world_id, newcomers[stored.place]::json);
                INSERT INTO livingworld.scene_cast (world_id, story_id, scene_number, character_id, role, importance)
                SELECT in_world_id, in_story_ids[stored.place], stored.scene_number, m.character_id, m.role, m.importance
                FROM jsonb_to_recordset(made) AS m (character_id uuid, role text, importance double precision)
                ON CONFLICT ON CONSTRAINT pk_scene_cast DO NOTHING;
                members[stored.place] := (coalesce(members[stored.place], '[]')::jsonb || made)::text;
            END IF;
        END LOOP;
    END IF;

    IF places || regenerated <> '{}' THEN
        PERFORM livingworld.keep_generations_v1(
            in_world_id, places || regenerated, answers, numbers, attempts, in_story_ids, in_request_keys, in_owners,
            in_contents, in_locations, in_story_times, in_metadata, in_raw_responses, in_choices, members, in_generations
        );
    END IF;
    FOREACH place IN ARRAY regenerated LOOP
        SELECT c.status, c.scene_number INTO stored FROM livingworld.choose_generation_v1(
            in_world_id, in_story_ids[place], in_owners[place], branches[place], NULL, NULL, in_spare_ids[place]
        ) c;
        IF stored.status <> 'chosen' THEN
            RAISE EXCEPTION 'choose_generation_v1 answered %', stored.status USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        numbers[place] := stored.scene_number;
        at_story := in_story_ids[place];
        at_key := in_request_keys[place];
        at_branch := branches[place];
        UPDATE livingworld.turns t SET state = 'committed', scene_number = stored.scene_number, updated_at = now()
        WHERE t.world_id = in_world_id AND t.story_id = at_story AND t.request_key = at_key;
        UPDATE livingworld.turn_leases l
        SET owner = NULL, request_key = NULL, branch_version = NULL, taken_at = NULL, expires_at = NULL
        WHERE l.world_id = in_world_id AND l.story_id = at_story AND l.branch_number = at_branch;
    END LOOP;

    SELECT array_agg(g.story_id) INTO awaited FROM unnest(in_story_ids, in_request_keys) AS g (story_id, request_key)
    WHERE EXISTS (
        SELECT FROM livingworld.turn_waiters w WHERE w.world_id = in_world_id AND w.story_id = g.story_id OFFSET 0
    ) OR EXISTS (
        SELECT FROM livingworld.turns m
        WHERE m.world_id = in_world_id AND m.merged_into = g.request_key AND m.story_id = g.story_id OFFSET 0
    );
    SELECT array_agg(l.stream_id) INTO followed_streams FROM livingworld.live_streams l
    WHERE l.world_id = in_world_id AND l.stream_id = ANY (in_story_ids) AND l.followed_until > now();
    FOR place IN 1..inputs LOOP
        status := answers[place];
        scene_number := numbers[place];
        parent_scene_number := parents[place];
        "position" := positions[place];
        branch_number := branches[place];
        chosen_choice := chosen[place];
        created_at := now();
        cast_members := members[place];
        next_key := NULL;
        followed := false;
        streams := NULL;
        IF status IN ('committed', 'regenerated') THEN
            IF in_states[place] IS NOT NULL THEN
                PERFORM livingworld.write_turn_state_v1(in_world_id, in_story_ids[place], scene_number, in_states[place]);
            END IF;
            IF in_publish AND (in_story_ids[place] = ANY (followed_streams) OR newcomers[place] IS NOT NULL) THEN
                streams := livingworld.publish_turn_v1(
                    in_world_id, in_story_ids[place], status, scene_number, branch_number, in_owners[place], in_cast[place]
                );
            END IF;
        END IF;
        IF in_story_ids[place] = ANY (awaited) AND status IN ('committed', 'regenerated', 'replayed') THEN
            next_key := livingworld.next_in_line_v1(in_world_id, in_story_ids[place], branch_number, clock_timestamp());
            SELECT EXISTS (
                SELECT FROM livingworld.turn_waiters w
                WHERE w.world_id = in_world_id AND w.request_key = in_request_keys[place]
                    AND w.story_id = in_story_ids[place]
            ) OR EXISTS (
                SELECT FROM livingworld.turns m
                WHERE m.world_id = in_world_id AND m.merged_into = in_request_keys[place]
                    AND m.story_id = in_story_ids[place]
            ) INTO followed;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$

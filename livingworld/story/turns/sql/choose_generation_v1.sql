-- Choose a generation: make it the scene at its place.
--
-- When the scene that stands there is the head of the branch and nothing hangs on it, it is told anew in place: its text
-- stays a generation and a revision. When something hangs on it, a scene beside it is stored and the branch goes there.
-- When the branch has gone on from it, the new scene gets a branch of its own.
CREATE FUNCTION livingworld.choose_generation_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_generation_id uuid,
    in_branch_number integer,       -- NULL: the story's current branch
    in_branch_name text,            -- of the branch that is made when one is needed; NULL: alternative n
    in_expected_head integer,       -- NULL: wherever the branch stands
    in_new_id uuid                  -- of the generation that keeps the text of a scene that has none
) RETURNS TABLE (
    status text,                    -- chosen, replayed, or why it was refused
    scene_number integer,           -- when refused as stale: where the branch stands
    branch_number integer,
    awaited boolean                 -- somebody waits for the branch
)
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    story record;
    branch record;
    chosen record;
    turn record;
    target record;
    appended record;
    parent integer;
    taken integer;
    written_at timestamptz;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'choose_generation_v1 needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    SELECT s.archived_at, s.current_branch, s.last_branch_number INTO story FROM livingworld.stories s
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'story_not_found', NULL::integer, NULL::integer, false;
        RETURN;
    END IF;
    written_at := clock_timestamp();
    SELECT g.* INTO chosen FROM livingworld.generations g
    WHERE g.world_id = in_world_id AND g.generation_id = in_generation_id AND g.story_id = in_story_id;
    SELECT t.* INTO turn FROM livingworld.turns t
    WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = chosen.request_key;
    SELECT b.* INTO branch FROM livingworld.branches b
    WHERE b.world_id = in_world_id AND b.story_id = in_story_id
        AND b.branch_number = coalesce(in_branch_number, story.current_branch);
    status := CASE
        WHEN chosen.generation_id IS NULL THEN 'generation_not_found'
        WHEN story.archived_at IS NOT NULL THEN 'archived'
        WHEN branch.branch_number IS NULL THEN 'branch_not_found'
        WHEN chosen.parsed IS NULL AND chosen.scene_number IS NULL THEN 'generation_incomplete'
        WHEN chosen.scene_number IS NOT NULL THEN 'replayed'
        WHEN in_expected_head <> coalesce(branch.head_scene_number, 0) THEN 'stale_head'
    END;
    IF status IS NOT NULL THEN
        scene_number := CASE WHEN status = 'stale_head' THEN branch.head_scene_number ELSE chosen.scene_number END;
        branch_number := branch.branch_number;
        RETURN NEXT;
        RETURN;
    END IF;

    -- The scene that stands at the place: rather the head of the branch than another one.
    SELECT s.* INTO target
    FROM (
        SELECT g.scene_number
        FROM (
            SELECT turn.origin_key AS request_key
            UNION ALL
            SELECT t.request_key FROM livingworld.turns t
            WHERE t.world_id = in_world_id AND t.origin_key = turn.origin_key AND t.story_id = in_story_id
                AND t.regenerates IS NOT NULL
        ) t
        CROSS JOIN LATERAL (
            SELECT g.scene_number FROM livingworld.generations g
            WHERE g.world_id = in_world_id AND g.request_key = t.request_key AND g.story_id = in_story_id
                AND g.scene_number IS NOT NULL OFFSET 0
        ) g
        UNION
        SELECT turn.regenerates WHERE turn.regenerates IS NOT NULL
    ) place
    CROSS JOIN LATERAL (
        SELECT * FROM livingworld.scenes s
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = place.scene_number OFFSET 0
    ) s
    ORDER BY s.scene_number = branch.head_scene_number DESC, s.scene_number LIMIT 1;
    parent := CASE WHEN target.scene_number IS NULL THEN turn.base_scene_number ELSE target.parent_scene_number END;

    IF target.scene_number IS NOT NULL AND NOT EXISTS (
        SELECT FROM livingworld.generations g
        WHERE g.world_id = in_world_id AND g.story_id = in_story_id AND g.scene_number = target.scene_number
    ) THEN
        -- A scene that no turn made: its text becomes a generation, under a turn of its own.
        INSERT INTO livingworld.turns
            (world_id, story_id, request_key, request_hash, state, branch_number, base_scene_number, choice, origin_key, token,
             scene_number)
        VALUES (in_world_id, in_story_id, turn.origin_key, decode(repeat('00', 32), 'hex'), 'committed',
                branch.branch_number, parent, target.chosen_choice, turn.origin_key, 0, target.scene_number)
        ON CONFLICT ON CONSTRAINT pk_turns DO NOTHING;
        INSERT INTO livingworld.generations
            (world_id, generation_id, story_id, request_key, attempt, state, scene_number, raw_response)
        VALUES (in_world_id, in_new_id, in_story_id, turn.origin_key, 1, 'complete', target.scene_number, target.raw_response);
    END IF;

    IF branch.head_scene_number = target.scene_number AND NOT EXISTS (
        SELECT FROM livingworld.scenes s
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.parent_scene_number = target.scene_number
    ) AND NOT EXISTS (
        SELECT FROM livingworld.branches b
        WHERE b.world_id = in_world_id AND b.story_id = in_story_id AND b.head_scene_number = target.scene_number
            AND b.branch_number <> branch.branch_number
    ) THEN
        PERFORM livingworld.shelve_state_v1(in_world_id, in_story_id, target.scene_number, (
            SELECT g.generation_id FROM livingworld.generations g
            WHERE g.world_id = in_world_id AND g.story_id = in_story_id AND g.scene_number = target.scene_number
        ));
        INSERT INTO livingworld.revisions (world_id, entity, entity_id, scene_number, version, content)
        VALUES (in_world_id, 'scene', in_story_id, target.scene_number, target.version,
                jsonb_build_object('content', target.content, 'location', target.location,
                                   'story_time', target.story_time, 'metadata', target.metadata));
        UPDATE livingworld.generations g
        SET scene_number = NULL, parsed = jsonb_build_object(
            'content', target.content, 'location', target.location, 'story_time', target.story_time,
            'metadata', target.metadata,
            'choices', coalesce((
                SELECT jsonb_agg(c.content ORDER BY c.choice_number) FROM livingworld.choices c
                WHERE c.world_id = in_world_id AND c.story_id = in_story_id AND c.scene_number = target.scene_number
            ), '[]'),
            'cast', coalesce((
                SELECT jsonb_agg(jsonb_build_object('character_id', m.character_id, 'role', m.role,
                                                    'importance', m.importance) ORDER BY m.character_id)
                FROM livingworld.scene_cast m
                WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.scene_number = target.scene_number
            ), '[]')
        )
        WHERE g.world_id = in_world_id AND g.story_id = in_story_id AND g.scene_number = target.scene_number;
        UPDATE livingworld.scenes s
        SET content = chosen.parsed ->> 'content', location = chosen.parsed ->> 'location',
            story_time = chosen.parsed ->> 'story_time', metadata = coalesce(chosen.parsed -> 'metadata', '{}'),
            raw_response = chosen.raw_response, version = s.version + 1, updated_at = now()
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = target.scene_number;
        DELETE FROM livingworld.choices c
        WHERE c.world_id = in_world_id AND c.story_id = in_story_id AND c.scene_number = target.scene_number;
        DELETE FROM livingworld.scene_cast m
        WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.scene_number = target.scene_number;
        INSERT INTO livingworld.choices (world_id, story_id, scene_number, choice_number, content)
        SELECT in_world_id, in_story_id, target.scene_number, c.choice_number, c.content
        FROM jsonb_array_elements_text(chosen.parsed -> 'choices') WITH ORDINALITY AS c (content, choice_number);
        INSERT INTO livingworld.scene_cast (world_id, story_id, scene_number, character_id, role, importance)
        SELECT in_world_id, in_story_id, target.scene_number, m.character_id, m.role, m.importance
        FROM jsonb_to_recordset(chosen.parsed -> 'cast')
            AS m (character_id uuid, role text, importance double precision);
        -- Whoever decided on the old text must look again.
        UPDATE livingworld.branches b SET version = b.version + 1, updated_at = now()
        WHERE b.world_id = in_world_id AND b.story_id = in_story_id AND b.branch_number = branch.branch_number;
        UPDATE livingworld.stories s SET updated_at = written_at
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id;
        taken := target.scene_number;
    ELSE
        IF branch.head_scene_number IS DISTINCT FROM coalesce(target.scene_number, parent) THEN
            UPDATE livingworld.stories s SET last_branch_number = s.last_branch_number + 1
            WHERE s.world_id = in_world_id AND s.story_id = in_story_id
            RETURNING s.last_branch_number INTO branch_number;
            INSERT INTO livingworld.branches (world_id, story_id, branch_number, name)
            VALUES (in_world_id, in_story_id, branch_number,
                    coalesce(in_branch_name, 'alternative ' || branch_number));
        ELSE
            branch_number := branch.branch_number;
        END IF;
        UPDATE livingworld.branches b
        SET head_scene_number = parent, head_timeline = coalesce(p.timeline_number, 1), head_position = coalesce(p.position, 0),
            version = b.version + 1
        FROM (SELECT) nothing LEFT JOIN LATERAL (
            SELECT * FROM livingworld.scenes p
            WHERE p.world_id = in_world_id AND p.story_id = in_story_id AND p.scene_number = parent OFFSET 0
        ) p ON true
        WHERE b.world_id = in_world_id AND b.story_id = in_story_id
            AND b.branch_number = choose_generation_v1.branch_number;
        SELECT a.status, a.scene_number INTO appended FROM livingworld.append_scenes_v1(
            in_world_id, true, ARRAY[in_story_id], ARRAY[choose_generation_v1.branch_number], NULL, ARRAY[chosen.parsed ->> 'content'],
            ARRAY[CASE WHEN target.scene_number IS NULL THEN turn.choice ELSE target.chosen_choice END],
            ARRAY[chosen.parsed ->> 'location'], ARRAY[chosen.parsed ->> 'story_time'],
            ARRAY[(chosen.parsed -> 'metadata')::text], ARRAY[chosen.raw_response], ARRAY[(chosen.parsed -> 'choices')::text],
            ARRAY[(chosen.parsed -> 'cast')::text], NULL, NULL
        ) a;
        IF appended.status <> 'appended' THEN
            RAISE EXCEPTION 'append_scenes_v1 answered %', appended.status USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        taken := appended.scene_number;
    END IF;

    UPDATE livingworld.generations g SET scene_number = taken, parsed = NULL, state = 'complete', error = NULL
    WHERE g.world_id = in_world_id AND g.generation_id = in_generation_id;
    PERFORM livingworld.unshelve_state_v1(in_world_id, in_story_id, in_generation_id, taken);
    RETURN QUERY
        SELECT 'chosen', taken, coalesce(branch_number, branch.branch_number), EXISTS (
            SELECT FROM livingworld.turn_waiters w
            WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = branch.branch_number
        );
END
$function$

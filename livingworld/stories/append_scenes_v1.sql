-- Append scenes: one row comes back for each input, in the order of the inputs, and each input succeeds or is refused
-- alone. Never changed once released: new behaviour is append_scenes_v2.
--
-- The lock is taken in one statement and everything is decided in later ones. At READ COMMITTED each of those sees a
-- fresh snapshot; one statement doing both would judge the branch as it was before the wait. Under any other isolation
-- level that would happen even here, so the function refuses to run.
--
-- wait = false skips stories that another transaction holds (status 'locked'): a caller that brings several stories
-- never waits with one in its hands, so it cannot deadlock and a slow writer of one story holds no other up.
CREATE FUNCTION livingworld.append_scenes_v1(
    in_world_id uuid,
    in_wait boolean,
    in_story_ids uuid[],
    in_branch_numbers integer[],    -- NULL: the story's current branch
    in_expected_heads integer[],    -- NULL: wherever the branch stands; 0: before the first scene
    in_contents text[],
    in_chosen_choices integer[],
    in_locations text[],
    in_story_times text[],
    in_metadata text[],             -- a JSON object each
    in_raw_responses text[],
    in_choices text[],              -- a JSON array of texts each
    in_cast text[],                 -- a JSON array of {character_id, role, importance} each
    in_request_keys text[],
    in_request_hashes bytea[]
) RETURNS TABLE (
    status text,                    -- appended, replayed, locked, or why it was refused
    scene_number integer,
    parent_scene_number integer,    -- when refused as stale: where the branch stands
    timeline_number integer,
    "position" integer,
    branch_number integer,
    created_at timestamptz
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- A plan is kept for the life of a connection: one made while the tables were small must not scan them when they are not.
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $function$
#variable_conflict use_column
DECLARE
    locked uuid[];
    input record;
    place record;
    earlier record;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append_scenes_v1 needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
    END IF;

    IF in_wait THEN
        SELECT array_agg(held.story_id) INTO locked FROM (
            SELECT s.story_id FROM livingworld.stories s
            WHERE s.world_id = in_world_id AND s.story_id = ANY (in_story_ids)
            ORDER BY s.story_id FOR NO KEY UPDATE
        ) held;
    ELSE
        SELECT array_agg(held.story_id) INTO locked FROM (
            SELECT s.story_id FROM livingworld.stories s
            WHERE s.world_id = in_world_id AND s.story_id = ANY (in_story_ids)
            ORDER BY s.story_id FOR NO KEY UPDATE SKIP LOCKED
        ) held;
    END IF;

    FOR input IN
        SELECT * FROM unnest(
            in_story_ids, in_branch_numbers, in_expected_heads, in_contents, in_chosen_choices, in_locations,
            in_story_times, in_metadata, in_raw_responses, in_choices, in_cast, in_request_keys, in_request_hashes
        ) AS given (
            story_id, branch_number, expected_head, content, chosen_choice, location,
            story_time, metadata, raw_response, choices, cast_members, request_key, request_hash
        )
    LOOP
        status := NULL; scene_number := NULL; parent_scene_number := NULL; timeline_number := NULL;
        "position" := NULL; branch_number := NULL; created_at := now();

        SELECT s.last_scene_number, s.last_timeline_number, s.archived_at, b.branch_number AS number,
               b.head_scene_number, b.head_timeline, b.head_position, t.fork_position, t.tip_position
        INTO place
        FROM livingworld.stories s
        LEFT JOIN livingworld.branches b
            ON b.world_id = s.world_id AND b.story_id = s.story_id
            AND b.branch_number = coalesce(input.branch_number, s.current_branch)
        LEFT JOIN livingworld.timelines t
            ON t.world_id = b.world_id AND t.story_id = b.story_id AND t.timeline_number = b.head_timeline
        WHERE s.world_id = in_world_id AND s.story_id = input.story_id;

        IF NOT FOUND THEN
            status := 'story_not_found'; RETURN NEXT; CONTINUE;
        END IF;
        IF locked IS NULL OR input.story_id <> ALL (locked) THEN
            status := 'locked'; RETURN NEXT; CONTINUE;
        END IF;

        IF input.request_key IS NOT NULL THEN
            SELECT k.request_hash, (k.result ->> 'scene_number')::integer AS scene_number INTO earlier
            FROM livingworld.request_keys k
            WHERE k.world_id = in_world_id AND k.scope_id = input.story_id AND k.request_key = input.request_key;
            IF FOUND AND earlier.request_hash = input.request_hash THEN
                status := 'replayed'; scene_number := earlier.scene_number; RETURN NEXT; CONTINUE;
            ELSIF FOUND THEN
                status := 'request_key_reused'; RETURN NEXT; CONTINUE;
            END IF;
        END IF;

        branch_number := place.number;
        parent_scene_number := place.head_scene_number;
        status := CASE
            WHEN place.archived_at IS NOT NULL THEN 'archived'
            WHEN place.number IS NULL THEN 'branch_not_found'
            WHEN input.expected_head <> coalesce(place.head_scene_number, 0) THEN 'stale_head'
        END;
        IF status IS NOT NULL THEN
            RETURN NEXT; CONTINUE;
        END IF;
        IF input.chosen_choice IS NOT NULL AND NOT EXISTS (
            SELECT FROM livingworld.choices c
            WHERE c.world_id = in_world_id AND c.story_id = input.story_id
                AND c.scene_number = place.head_scene_number AND c.choice_number = input.chosen_choice
        ) THEN
            status := 'choice_not_found'; RETURN NEXT; CONTINUE;
        END IF;
        IF input.cast_members <> '[]' AND EXISTS (
            SELECT FROM jsonb_to_recordset(input.cast_members::jsonb) AS m (character_id uuid)
            WHERE NOT EXISTS (
                SELECT FROM livingworld.characters c
                WHERE c.world_id = in_world_id AND c.character_id = m.character_id
            )
        ) THEN
            status := 'character_not_found'; RETURN NEXT; CONTINUE;
        END IF;

        scene_number := place.last_scene_number + 1;
        "position" := place.head_position + 1;
        IF place.head_position = place.tip_position THEN
            timeline_number := place.head_timeline;
            UPDATE livingworld.timelines t SET tip_position = place.head_position + 1
            WHERE t.world_id = in_world_id AND t.story_id = input.story_id AND t.timeline_number = place.head_timeline;
        ELSE
            -- The next position of the old timeline is taken: this scene begins a new one.
            timeline_number := place.last_timeline_number + 1;
            INSERT INTO livingworld.timelines
                (world_id, story_id, timeline_number, parent_timeline, fork_position, tip_position)
            VALUES (in_world_id, input.story_id, place.last_timeline_number + 1, place.head_timeline,
                    place.head_position, place.head_position + 1);
            INSERT INTO livingworld.timeline_lineage
                (world_id, story_id, timeline_number, owner_timeline, from_position, to_position)
            SELECT in_world_id, input.story_id, place.last_timeline_number + 1, l.owner_timeline, l.from_position,
                   least(l.to_position, place.head_position)
            FROM livingworld.timeline_lineage l
            WHERE l.world_id = in_world_id AND l.story_id = input.story_id
                AND l.timeline_number = place.head_timeline AND l.from_position <= place.head_position
            UNION ALL
            SELECT in_world_id, input.story_id, place.last_timeline_number + 1, place.head_timeline,
                   place.fork_position + 1, place.head_position
            WHERE place.head_position > place.fork_position;
        END IF;

        INSERT INTO livingworld.scenes
            (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content,
             chosen_choice, location, story_time, metadata, raw_response)
        VALUES (in_world_id, input.story_id, place.last_scene_number + 1, place.head_scene_number,
                append_scenes_v1.timeline_number, place.head_position + 1, input.content, input.chosen_choice,
                input.location, input.story_time, input.metadata::jsonb, input.raw_response);
        IF input.choices <> '[]' THEN
            INSERT INTO livingworld.choices (world_id, story_id, scene_number, choice_number, content)
            SELECT in_world_id, input.story_id, place.last_scene_number + 1, c.choice_number, c.content
            FROM jsonb_array_elements_text(input.choices::jsonb) WITH ORDINALITY AS c (content, choice_number);
        END IF;
        IF input.cast_members <> '[]' THEN
            INSERT INTO livingworld.scene_cast (world_id, story_id, scene_number, character_id, role, importance)
            SELECT in_world_id, input.story_id, place.last_scene_number + 1, m.character_id, m.role, m.importance
            FROM jsonb_to_recordset(input.cast_members::jsonb)
                AS m (character_id uuid, role text, importance double precision);
        END IF;
        UPDATE livingworld.branches b
        SET head_scene_number = place.last_scene_number + 1, head_timeline = append_scenes_v1.timeline_number,
            head_position = place.head_position + 1, version = b.version + 1, updated_at = now()
        WHERE b.world_id = in_world_id AND b.story_id = input.story_id AND b.branch_number = place.number;
        UPDATE livingworld.stories s
        SET last_scene_number = place.last_scene_number + 1,
            last_timeline_number = greatest(s.last_timeline_number, append_scenes_v1.timeline_number)
        WHERE s.world_id = in_world_id AND s.story_id = input.story_id;
        IF input.request_key IS NOT NULL THEN
            INSERT INTO livingworld.request_keys (world_id, scope_id, request_key, request_hash, result)
            VALUES (in_world_id, input.story_id, input.request_key, input.request_hash,
                    jsonb_build_object('scene_number', place.last_scene_number + 1));
        END IF;
        status := 'appended';
        RETURN NEXT;
    END LOOP;
END
$function$

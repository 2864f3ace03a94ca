-- Append one scene without a cast where its branch stands at the end of its timeline, which is what most appends are. No row
-- comes back where anything else is true (the story is held, archived or not there, the head is another one, the choice is
-- missing, the request key is known, the scene would begin a timeline): nothing is written then, and append_scenes_v1, whose
-- first step this is too, decides what that means. Its arguments are those of append_scenes_v1 without the cast, and its answer
-- is the same.
--
-- The story is locked by the first statement and everything else is read by later ones: lock_stories_v1 says why.
CREATE FUNCTION livingworld.append_plain_scene_v1(
    in_world_id uuid,
    in_wait boolean,
    in_publish boolean,
    in_story_id uuid,
    in_branch_number integer,
    in_expected_head integer,
    in_content text,
    in_chosen_choice integer,
    in_location text,
    in_story_time text,
    in_metadata text,
    in_raw_response text,
    in_choices text,
    in_request_key text,
    in_request_hash bytea,
    in_turn_key text DEFAULT NULL
) RETURNS TABLE (
    status text,
    scene_number integer,
    parent_scene_number integer,
    "position" integer,
    branch_number integer,
    created_at timestamptz,
    followed boolean,
    cast_members text
)
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    current_number integer;
    last_number integer;
    its_status text;
    last_at timestamptz;
    written_at timestamptz;
    at_branch integer;
    at_head integer;
    at_timeline integer;
    at_position integer;
    stored_version integer;
    is_followed boolean := false;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'livingworld needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF in_wait THEN
        SELECT s.current_branch, s.last_scene_number, s.status, coalesce(s.last_scene_at, s.created_at)
        INTO current_number, last_number, its_status, last_at FROM livingworld.stories s
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.archived_at IS NULL FOR NO KEY UPDATE;
    ELSE
        SELECT s.current_branch, s.last_scene_number, s.status, coalesce(s.last_scene_at, s.created_at)
        INTO current_number, last_number, its_status, last_at FROM livingworld.stories s
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.archived_at IS NULL
        FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    written_at := clock_timestamp(); -- read under the lock: no write of a story moves it back

    SELECT b.branch_number, b.head_scene_number, b.head_timeline, b.head_position
    INTO at_branch, at_head, at_timeline, at_position
    FROM livingworld.branches b
    WHERE b.world_id = in_world_id AND b.story_id = in_story_id
        -- Not coalesce, by which no index is gone down in a database that shows one world only.
        AND b.branch_number = CASE WHEN in_branch_number IS NULL THEN current_number ELSE in_branch_number END
        AND (in_expected_head IS NULL OR in_expected_head = coalesce(b.head_scene_number, 0));
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- The order names the one index that has it, also for a plan that was made while the table was empty.
    PERFORM FROM livingworld.scenes t
    WHERE t.world_id = in_world_id AND t.timeline_number = at_timeline AND t.story_id = in_story_id
        AND t.position > at_position AND t.position > 0
    ORDER BY t.timeline_number, t.story_id, t.position LIMIT 1;
    IF FOUND THEN
        RETURN;
    END IF;
    IF in_chosen_choice IS NOT NULL THEN
        PERFORM FROM livingworld.scenes c
        WHERE c.world_id = in_world_id AND c.story_id = in_story_id AND c.scene_number = at_head
            AND cardinality(c.choices) >= in_chosen_choice;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    IF in_request_key IS NOT NULL THEN
        INSERT INTO livingworld.request_keys (world_id, scope_id, request_key, request_hash, result)
        VALUES (in_world_id, in_story_id, in_request_key, in_request_hash,
                jsonb_build_object('scene_number', last_number + 1))
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;

    INSERT INTO livingworld.scenes
        (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content, choices,
         chosen_choice, location, story_time, metadata, raw_response, turn_key)
    VALUES (in_world_id, in_story_id, last_number + 1, at_head, at_timeline, at_position + 1, in_content,
            coalesce(in_choices::text[], '{}'), in_chosen_choice, in_location, in_story_time,
            coalesce(in_metadata, '{}')::jsonb, in_raw_response, in_turn_key)
    RETURNING version INTO stored_version;
    INSERT INTO livingworld.unindexed_scenes (world_id, story_id, scene_number, version)
    VALUES (in_world_id, in_story_id, last_number + 1, stored_version);
    UPDATE livingworld.branches b
    SET head_scene_number = last_number + 1, head_position = at_position + 1, version = b.version + 1,
        updated_at = now()
    WHERE b.world_id = in_world_id AND b.story_id = in_story_id AND b.branch_number = at_branch;
    -- As note_play_v1 does, with what was read under the lock.
    UPDATE livingworld.story_activity a SET last_scene_at = written_at
    WHERE a.world_id = in_world_id AND a.status = its_status AND a.archived = false AND a.last_scene_at = last_at
        AND a.story_id = in_story_id;
    UPDATE livingworld.stories s
    SET last_scene_number = last_number + 1, updated_at = written_at, last_scene_at = written_at
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id;
    IF in_publish THEN
        PERFORM FROM livingworld.live_streams s
        WHERE s.world_id = in_world_id AND s.stream_id = in_story_id AND s.followed_until > now();
        is_followed := FOUND;
    END IF;
    IF is_followed THEN
        PERFORM FROM livingworld.publish_events_v1(
            in_world_id, ARRAY[in_story_id], ARRAY['scene appended'],
            ARRAY[jsonb_build_object('scene_number', last_number + 1, 'branch_number', at_branch)::text]
        );
        is_followed := FOUND;
    END IF;
    RETURN QUERY VALUES (
        'appended', last_number + 1, at_head, at_position + 1, at_branch, now(), is_followed, NULL::text
    );
END
$function$

-- Append scenes as append_scenes_v1 does, and publish each that was stored to those who follow its story; `followed` says
-- that somebody does.
--
-- The look comes after the stories are locked, so it sees whoever began to follow one before that; whoever begins later
-- waits for the end of this transaction.
CREATE FUNCTION livingworld.append_scenes_v2(
    in_world_id uuid,
    in_wait boolean,
    in_story_ids uuid[],            -- these are the arguments of append_scenes_v1
    in_branch_numbers integer[],
    in_expected_heads integer[],
    in_contents text[],
    in_chosen_choices integer[],
    in_locations text[],
    in_story_times text[],
    in_metadata text[],
    in_raw_responses text[],
    in_choices text[],
    in_cast text[],
    in_request_keys text[],
    in_request_hashes bytea[]
) RETURNS TABLE (
    status text, scene_number integer, parent_scene_number integer, "position" integer, branch_number integer,
    created_at timestamptz, followed boolean
)
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    place integer := 0;
    followed_stories uuid[];
    streams uuid[] := '{}';
    details text[] := '{}';
BEGIN
    FOR status, scene_number, parent_scene_number, "position", branch_number, created_at IN
        SELECT * FROM livingworld.append_scenes_v1(
            in_world_id, in_wait, in_story_ids, in_branch_numbers, in_expected_heads, in_contents, in_chosen_choices,
            in_locations, in_story_times, in_metadata, in_raw_responses, in_choices, in_cast, in_request_keys,
            in_request_hashes
        )
    LOOP
        IF place = 0 THEN
            SELECT array_agg(s.stream_id) INTO followed_stories FROM livingworld.live_streams s
            WHERE s.world_id = in_world_id AND s.stream_id = ANY (in_story_ids) AND s.followed_until > now();
        END IF;
        place := place + 1;
        followed := status = 'appended' AND followed_stories IS NOT NULL AND in_story_ids[place] = ANY (followed_stories);
        IF followed THEN
            streams := streams || in_story_ids[place];
            details := details || jsonb_build_object('scene_number', scene_number, 'branch_number', branch_number)::text;
        END IF;
        RETURN NEXT;
    END LOOP;
    IF streams <> '{}' THEN
        PERFORM livingworld.publish_events_v1(
            in_world_id, streams, array_fill('scene appended'::text, ARRAY[cardinality(streams)]), details
        );
    END IF;
END
$function$

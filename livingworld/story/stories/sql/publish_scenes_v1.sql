-- Publish the scenes that append_scenes_v1 has stored to those who follow their stories, and return the stories that are
-- followed. NULL: none is.
--
-- The look comes after the stories are locked, so it sees every follower that began before; one that begins later waits for
-- the end of this transaction.
CREATE FUNCTION livingworld.publish_scenes_v1(
    in_world_id uuid,
    in_answers text[],
    in_story_ids uuid[],
    in_numbers integer[],
    in_branches integer[]
) RETURNS uuid[]
LANGUAGE plpgsql
AS $function$
DECLARE
    followed uuid[];
    streams uuid[];
    details text[];
BEGIN
    SELECT array_agg(s.stream_id) INTO followed FROM livingworld.live_streams s
    WHERE s.world_id = in_world_id AND s.stream_id = ANY (in_story_ids) AND s.followed_until > now();
    IF followed IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(g.story_id ORDER BY g.ordinal),
           array_agg(jsonb_build_object('scene_number', g.number, 'branch_number', g.branch)::text ORDER BY g.ordinal)
    INTO streams, details
    FROM unnest(in_answers, in_story_ids, in_numbers, in_branches) WITH ORDINALITY
        AS g (answer, story_id, number, branch, ordinal)
    WHERE g.answer = 'appended' AND g.story_id = ANY (followed);
    IF streams IS NOT NULL THEN
        PERFORM livingworld.publish_events_v1(
            in_world_id, streams, array_fill('scene appended'::text, ARRAY[cardinality(streams)]), details
        );
    END IF;
    RETURN followed;
END
$function$

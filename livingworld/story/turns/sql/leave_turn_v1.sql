-- Take a request key out of every turn that it was a part of, so that it starts over with its own input alone. A turn that
-- ran under it or was merged with it, and is no longer held, ends, since it would use the input a second time; and inputs
-- that were merged into it leave it. The caller holds the lock of the story.
CREATE FUNCTION livingworld.leave_turn_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_request_key text,
    in_merged_into text,            -- the turn that took it in; NULL: none
    in_now timestamptz
) RETURNS void
LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM livingworld.end_turn_v1(in_world_id, in_story_id, coalesce(in_merged_into, in_request_key), in_now);
    UPDATE livingworld.turns t SET state = 'failed', merged_into = NULL, updated_at = now()
    WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = in_request_key AND t.state = 'merged';
    UPDATE livingworld.turns t SET state = 'failed', merged_into = NULL, updated_at = now()
    WHERE t.world_id = in_world_id AND t.merged_into = in_request_key AND t.story_id = in_story_id;
END
$function$

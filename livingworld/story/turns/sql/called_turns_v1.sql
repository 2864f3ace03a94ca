-- Look after requests that wait for turns, all those of a process by one call: keep their places in the line, and return
-- which of them should ask again, by their place among the inputs. It waits for no lock: a place whose row is locked is
-- kept by a later look. A place that was not kept in time is gone: meanwhile another try of its key may have been granted
-- with its own input, and what is merged into such a place would never be told.
CREATE FUNCTION livingworld.called_turns_v1(
    in_world_id uuid,
    in_patience interval,           -- a try that is not looked after for so long has left
    in_story_ids uuid[],
    in_branch_numbers integer[],
    in_request_keys text[],
    in_owners uuid[],
    in_tickets integer[],           -- NULL: it follows a turn that took its input in, and has no place
    in_follows text[],              -- the turn that it follows; NULL: it waits in the line
    in_expected_heads integer[]
) RETURNS SETOF bigint
LANGUAGE plpgsql
AS $function$
BEGIN
    -- Few places at a look, since half the patience is left.
    UPDATE livingworld.turn_waiters w SET expires_at = now() + in_patience
    FROM (
        SELECT held.story_id, held.branch_number, held.ticket, held.owner
        FROM unnest(in_story_ids, in_branch_numbers, in_tickets, in_owners)
            AS given (story_id, branch_number, ticket, owner)
        CROSS JOIN LATERAL (
            SELECT w.story_id, w.branch_number, w.ticket, w.owner FROM livingworld.turn_waiters w
            WHERE w.world_id = in_world_id AND w.story_id = given.story_id AND w.branch_number = given.branch_number
                AND w.ticket = given.ticket AND w.owner = given.owner
                AND w.expires_at > now() AND w.expires_at < now() + in_patience / 2
            FOR NO KEY UPDATE SKIP LOCKED
        ) held
    ) kept
    WHERE w.world_id = in_world_id AND w.story_id = kept.story_id AND w.branch_number = kept.branch_number
        AND w.ticket = kept.ticket AND w.owner = kept.owner;
    RETURN QUERY
        SELECT given.ordinal
        FROM unnest(
            in_story_ids, in_branch_numbers, in_request_keys, in_owners, in_tickets, in_follows, in_expected_heads
        ) WITH ORDINALITY AS given (
            story_id, branch_number, request_key, owner, ticket, follows, expected_head, ordinal
        )
        WHERE livingworld.is_called_v1(
            in_world_id, given.story_id, given.branch_number, given.request_key, given.owner, given.ticket, given.follows,
            given.expected_head
        );
END
$function$

-- Return the request key whose turn has come at a branch: the first in its line, NULL while a turn is held there and when
-- none waits. Of the tries that follow a turn, those are first whose turn has failed. The caller holds the lock of the
-- story, or takes the answer as a hint.
CREATE FUNCTION livingworld.next_in_line_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_branch_number integer,
    in_now timestamptz
) RETURNS text
LANGUAGE plpgsql
STABLE
AS $function$
DECLARE
    first_key text;
BEGIN
    SELECT w.request_key INTO first_key FROM livingworld.turn_waiters w
    WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
        AND w.expires_at > in_now
        AND (w.ticket > 0 OR EXISTS (
            SELECT FROM livingworld.turns f
            WHERE f.world_id = in_world_id AND f.story_id = in_story_id AND f.request_key = w.request_key
                AND f.state IN ('running', 'failed')
        ))
    ORDER BY w.ticket LIMIT 1;
    IF first_key IS NULL OR EXISTS (
        SELECT FROM livingworld.turn_leases l
        JOIN livingworld.branches b
            ON b.world_id = in_world_id AND b.story_id = in_story_id AND b.branch_number = l.branch_number
        WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.branch_number = in_branch_number
            AND l.expires_at > in_now AND l.branch_version = b.version
    ) THEN
        RETURN NULL;
    END IF;
    RETURN first_key;
END
$function$

-- Whether a request that waits for a turn should ask again: its turn has come, the turn that it follows is over, its place
-- is gone, or it would be refused. A hint: it is judged without a lock.
CREATE FUNCTION livingworld.is_called_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_branch_number integer,
    in_request_key text,
    in_owner uuid,
    in_ticket integer,              -- NULL: it follows a turn that took its input in, and has no place in the line
    in_follows text,                -- the turn that it follows; NULL: it waits in the line
    in_expected_head integer
) RETURNS boolean
LANGUAGE plpgsql
STABLE
AS $function$
DECLARE
    head integer;
BEGIN
    SELECT coalesce(b.head_scene_number, 0) INTO head
    FROM livingworld.stories s
    JOIN livingworld.branches b
        ON b.world_id = in_world_id AND b.story_id = in_story_id AND b.branch_number = in_branch_number
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.archived_at IS NULL;
    IF NOT FOUND THEN
        RETURN true;
    END IF;
    IF in_ticket IS NOT NULL THEN
        PERFORM FROM livingworld.turn_waiters w
        WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
            AND w.ticket = in_ticket AND w.owner = in_owner AND w.expires_at > now();
        IF NOT FOUND THEN
            RETURN true;
        END IF;
    END IF;
    IF in_follows IS NULL THEN
        RETURN head <> coalesce(in_expected_head, head)
            OR coalesce(
                livingworld.next_in_line_v1(in_world_id, in_story_id, in_branch_number, now()) = in_request_key, false
            );
    END IF;
    RETURN NOT EXISTS (
        SELECT FROM livingworld.turn_leases l
        JOIN livingworld.branches b
            ON b.world_id = in_world_id AND b.story_id = in_story_id AND b.branch_number = l.branch_number
        WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.branch_number = in_branch_number
            AND l.request_key = in_follows AND l.expires_at > now() AND l.branch_version = b.version
    ) AND (in_follows = in_request_key OR NOT EXISTS (
        SELECT FROM livingworld.turn_waiters w
        WHERE w.world_id = in_world_id AND w.request_key = in_follows AND w.story_id = in_story_id
            AND w.expires_at > now()
    ));
END
$function$

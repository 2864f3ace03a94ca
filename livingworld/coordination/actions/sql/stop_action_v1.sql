-- End an action that waits or runs, or make it wait again, and refresh the head of its lane. The caller holds the lane's row.
CREATE FUNCTION livingworld.stop_action_v1(
    in_world_id uuid,
    in_action_id uuid,
    in_state text,                  -- what it becomes
    in_at timestamptz,
    in_not_before timestamptz,      -- when it may run again; NULL: as it was
    in_attempts integer,            -- added to the number of attempts: -1 for one that was given back
    in_error text,                  -- why the attempt failed, or NULL
    in_result text                  -- JSON, or NULL
) RETURNS void
LANGUAGE plpgsql
AS $function$
DECLARE
    here record;
    ends boolean := in_state <> 'waiting';
BEGIN
    SELECT a.lane, a.state = 'running' AS runs, l.last_number + 1 AS number,
        jsonb_build_object('attempt', a.attempts, 'error', in_error) AS failure
    INTO here
    FROM livingworld.actions a
    JOIN livingworld.lanes l ON l.world_id = in_world_id AND l.lane = a.lane
    WHERE a.world_id = in_world_id AND a.action_id = in_action_id AND a.state IN ('waiting', 'running');
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE livingworld.actions AS a
    SET state = in_state,
        claimed_until = NULL,
        not_before = coalesce(in_not_before, a.not_before),
        attempts = a.attempts + in_attempts,
        result = in_result::jsonb,
        errors = CASE
            WHEN in_error IS NULL THEN a.errors
            ELSE a.errors || here.failure
        END,
        stopped_numbers = CASE WHEN here.runs THEN a.stopped_numbers || here.number ELSE a.stopped_numbers END,
        ended_number = CASE WHEN ends THEN here.number END,
        ended_at = CASE WHEN ends THEN in_at END
    WHERE a.world_id = in_world_id AND a.action_id = in_action_id;
    PERFORM livingworld.refresh_lane_head_v1(
        in_world_id, here.lane, in_at, here.number, CASE WHEN here.runs THEN 0 ELSE -1 END + CASE WHEN ends THEN 0 ELSE 1 END
    );
END
$function$

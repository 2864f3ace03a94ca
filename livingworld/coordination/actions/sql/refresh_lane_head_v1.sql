-- Store in a lane's row what a claim looks for there, as its actions stand now. The caller holds that row.
CREATE FUNCTION livingworld.refresh_lane_head_v1(
    in_world_id uuid,
    in_lane text,
    in_at timestamptz,
    in_number bigint,               -- the last number that was assigned
    in_waiting integer              -- added to the number of those that wait
) RETURNS void
LANGUAGE plpgsql
AS $function$
DECLARE
    head record;
BEGIN
    SELECT a.priority, a.created_at INTO head
    FROM livingworld.actions a
    WHERE a.world_id = in_world_id AND a.lane = in_lane AND a.state = 'waiting'
        AND (a.not_before IS NULL OR a.not_before <= in_at)
    ORDER BY a.priority DESC, a.number LIMIT 1;
    UPDATE livingworld.lanes AS l
    SET last_number = in_number,
        waiting = l.waiting + in_waiting,
        head_priority = head.priority,
        head_created_at = head.created_at,
        running_until = (
            SELECT least(r.claimed_until, r.deadline) FROM livingworld.actions r
            WHERE r.world_id = in_world_id AND r.lane = in_lane AND r.state = 'running'
        ),
        wakes_at = (
            SELECT w.not_before FROM livingworld.actions w
            WHERE w.world_id = in_world_id AND w.lane = in_lane AND w.state = 'waiting' AND w.not_before > in_at
            ORDER BY w.not_before LIMIT 1
        )
    WHERE l.world_id = in_world_id AND l.lane = in_lane;
END
$function$

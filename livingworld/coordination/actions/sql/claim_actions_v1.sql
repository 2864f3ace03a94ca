-- Claim the actions that are next, at most one in each lane, and return them. A claim that was not
-- extended in time ends first, and what is past its deadline expires. A lane that another transaction has locked is skipped.
-- A claim that lapses counts as an attempt, unless the server was started after it: then the server was away, not the worker.
CREATE FUNCTION livingworld.claim_actions_v1(
    in_world_id uuid,
    in_limit integer,
    in_ttl interval                 -- how long the claim holds unless it is extended
) RETURNS SETOF livingworld.actions
LANGUAGE plpgsql
SET enable_sort = off
AS $function$
DECLARE
    here record;
    held record;
    next record;
    at timestamptz;
    claimed record;
BEGIN
    SELECT clock_timestamp() INTO at;
    FOR here IN
        SELECT l.lane FROM livingworld.lanes l
        WHERE l.world_id = in_world_id AND l.running_until <= at
        ORDER BY l.running_until LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        SELECT a.action_id, a.token, a.started_at < pg_postmaster_start_time() AS restarted,
            a.attempts >= a.max_attempts AS spent, a.deadline <= at AS late,
            a.cancel_requested_at IS NOT NULL AS unwanted INTO held
        FROM livingworld.actions a WHERE a.world_id = in_world_id AND a.lane = here.lane AND a.state = 'running';
        PERFORM livingworld.stop_action_v1(
            in_world_id, held.action_id,
            CASE
                WHEN held.late THEN 'expired'
                WHEN held.unwanted THEN 'cancelled'
                WHEN held.spent AND NOT held.restarted THEN 'failed'
                ELSE 'waiting'
            END,
            at, NULL, CASE WHEN held.restarted THEN -1 ELSE 0 END,
            CASE WHEN held.restarted THEN 'the server was away' ELSE 'the claim was not extended in time' END, NULL
        );
        UPDATE livingworld.actions AS a SET lapsed_tokens = a.lapsed_tokens || held.token
        WHERE a.world_id = in_world_id AND a.action_id = held.action_id AND a.state = 'waiting' AND NOT held.restarted;
    END LOOP;
    FOR here IN
        SELECT l.lane, l.last_number FROM livingworld.lanes l
        WHERE l.world_id = in_world_id AND l.wakes_at <= at AND l.running_until IS NULL
        ORDER BY l.wakes_at LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        PERFORM livingworld.refresh_lane_head_v1(in_world_id, here.lane, at, here.last_number, 0);
    END LOOP;
    FOR here IN
        SELECT l.lane, l.last_number FROM livingworld.lanes l
        WHERE l.world_id = in_world_id AND l.running_until IS NULL AND l.head_priority IS NOT NULL
        ORDER BY l.head_priority DESC, l.head_created_at, l.lane LIMIT in_limit FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        LOOP
            SELECT a.action_id, a.deadline <= at AS late INTO next FROM livingworld.actions a
            WHERE a.world_id = in_world_id AND a.lane = here.lane AND a.state = 'waiting'
                AND (a.not_before IS NULL OR a.not_before <= at)
            ORDER BY a.priority DESC, a.number LIMIT 1;
            EXIT WHEN NOT FOUND OR next.late IS NOT TRUE;
            PERFORM livingworld.stop_action_v1(in_world_id, next.action_id, 'expired', at, NULL, 0, NULL, NULL);
            here.last_number := here.last_number + 1;
        END LOOP;
        CONTINUE WHEN next.action_id IS NULL;
        UPDATE livingworld.actions AS a
        SET state = 'running', token = a.token + 1, attempts = a.attempts + 1, claimed_until = at + in_ttl,
            started_at = at, started_numbers = a.started_numbers || (here.last_number + 1)
        WHERE a.world_id = in_world_id AND a.action_id = next.action_id
        RETURNING a.* INTO claimed;
        PERFORM livingworld.refresh_lane_head_v1(in_world_id, here.lane, at, here.last_number + 1, -1);
        RETURN NEXT claimed;
    END LOOP;
END
$function$

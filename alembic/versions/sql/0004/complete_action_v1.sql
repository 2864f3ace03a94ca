-- Complete a claimed action, and return what became of it: done, repeated, superseded, expired, unknown. Only done writes.
-- The deadline is compared with the clock after the lane is locked; whatever ends an action locks the lane.
CREATE FUNCTION livingworld.complete_action_v1(
    in_world_id uuid,
    in_action_id uuid,
    in_token bigint,
    in_result text                  -- JSON, or NULL
) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
AS $function$
DECLARE
    here record;
    at timestamptz;
BEGIN
    SELECT l.lane INTO here
    FROM livingworld.actions a
    JOIN livingworld.lanes l ON l.world_id = in_world_id AND l.lane = a.lane
    WHERE a.world_id = in_world_id AND a.action_id = in_action_id
    FOR NO KEY UPDATE OF l;
    IF NOT FOUND THEN
        RETURN 'unknown';
    END IF;
    SELECT clock_timestamp() INTO at;
    SELECT a.state, a.token, a.deadline <= at AS late INTO here
    FROM livingworld.actions a WHERE a.world_id = in_world_id AND a.action_id = in_action_id;
    IF NOT FOUND THEN
        RETURN 'unknown';           -- it had ended, and was removed meanwhile
    ELSIF here.token <> in_token THEN
        RETURN 'superseded';
    ELSIF here.state = 'done' THEN
        RETURN 'repeated';
    ELSIF here.late AND here.state IN ('running', 'expired') THEN
        RETURN 'expired';
    ELSIF here.state <> 'running' THEN
        RETURN 'superseded';
    END IF;
    PERFORM livingworld.stop_action_v1(in_world_id, in_action_id, 'done', at, NULL, 0, NULL, in_result);
    RETURN 'done';
END
$function$

-- Append actions to their lanes, and return them as they are stored: also those whose id was known before.
-- One whose lane is full comes back with its id only. Lanes are locked in the order of their names.
CREATE FUNCTION livingworld.enqueue_actions_v1(
    in_world_id uuid,
    in_actions text                 -- a JSON array of {action_id, lane, kind, payload, priority, not_before or runs_after,
                                    -- deadline or expires_after, max_attempts}: a time, or microseconds after the present
) RETURNS SETOF livingworld.actions
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
    given record;
    here record;
    new record;
    at timestamptz;
    queued integer;
    stored record;
BEGIN
    FOR given IN
        SELECT e.value ->> 'lane' AS lane, json_agg(e.value ORDER BY e.ordinality) AS actions
        FROM json_array_elements(in_actions::json) WITH ORDINALITY AS e
        GROUP BY 1 ORDER BY (e.value ->> 'lane') COLLATE "C"
    LOOP
        INSERT INTO livingworld.lanes (world_id, lane) VALUES (in_world_id, given.lane)
        ON CONFLICT ON CONSTRAINT pk_lanes DO NOTHING;
        SELECT l.last_number, l.waiting, l.max_waiting INTO here FROM livingworld.lanes l
        WHERE l.world_id = in_world_id AND l.lane = given.lane FOR NO KEY UPDATE;
        SELECT clock_timestamp() INTO at;
        queued := 0;
        FOR new IN
            SELECT n.* FROM json_to_recordset(given.actions) AS n (
                action_id uuid, kind text, payload jsonb, priority integer, not_before timestamptz, runs_after bigint,
                deadline timestamptz, expires_after bigint, max_attempts integer
            )
        LOOP
            -- Comparing rows names the index of the key: a plan that was made while the table was empty takes any other.
            SELECT a.* INTO stored FROM livingworld.actions a
            WHERE a.world_id = in_world_id AND a.action_id = new.action_id
                AND (a.world_id, a.action_id) >= (in_world_id, new.action_id)
            ORDER BY a.world_id, a.action_id LIMIT 1;
            IF NOT FOUND AND here.waiting + queued < here.max_waiting THEN
                queued := queued + 1;
                INSERT INTO livingworld.actions AS a (
                    world_id, action_id, lane, number, kind, payload, priority, not_before, deadline, state, max_attempts,
                    created_at
                ) VALUES (
                    in_world_id, new.action_id, given.lane, here.last_number + queued, new.kind, new.payload, new.priority,
                    coalesce(new.not_before, at + new.runs_after * interval '1 microsecond'),
                    coalesce(new.deadline, at + new.expires_after * interval '1 microsecond'),
                    'waiting', new.max_attempts, at
                ) RETURNING a.* INTO stored;
            END IF;
            stored.action_id := new.action_id;
            RETURN NEXT stored;
        END LOOP;
        IF queued > 0 THEN
            PERFORM livingworld.refresh_lane_head_v1(in_world_id, given.lane, at, here.last_number + queued, queued);
        END IF;
    END LOOP;
END
$function$

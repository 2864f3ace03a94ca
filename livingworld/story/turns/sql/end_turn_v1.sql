-- End a turn that runs, so that what its holder brings comes too late: the lease is free and the attempt is kept as a
-- failed generation. It was replaced when it was still held, else it has failed. A turn that does not run stays as it is.
-- The caller holds the lock of the story.
CREATE FUNCTION livingworld.end_turn_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_request_key text,
    in_now timestamptz
) RETURNS void
LANGUAGE plpgsql
AS $function$
DECLARE
    ended record;
BEGIN
    SELECT t.branch_number, t.attempts, l.owner,
           CASE WHEN l.branch_version <> b.version THEN 'the head moved' WHEN l.expires_at <= in_now THEN 'the lease expired'
                ELSE 'replaced' END AS reason
    INTO ended
    FROM livingworld.turns t
    JOIN livingworld.turn_leases l
        ON l.world_id = in_world_id AND l.story_id = in_story_id AND l.branch_number = t.branch_number AND l.token = t.token
    JOIN livingworld.branches b
        ON b.world_id = in_world_id AND b.story_id = in_story_id AND b.branch_number = t.branch_number
    WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = in_request_key AND t.state = 'running'
        AND l.owner IS NOT NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE livingworld.turns t
    SET state = CASE WHEN ended.reason = 'replaced' THEN 'replaced' ELSE 'failed' END, updated_at = now()
    WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = in_request_key;
    UPDATE livingworld.turn_leases l
    SET owner = NULL, request_key = NULL, branch_version = NULL, taken_at = NULL, expires_at = NULL
    WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.branch_number = ended.branch_number;
    INSERT INTO livingworld.generations (world_id, generation_id, story_id, request_key, attempt, state, error)
    VALUES (in_world_id, ended.owner, in_story_id, in_request_key, ended.attempts, 'failed', ended.reason)
    ON CONFLICT ON CONSTRAINT pk_generations DO NOTHING;
END
$function$

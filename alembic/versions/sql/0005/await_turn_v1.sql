-- Join the line of a branch, or extend a place in it, and return the ticket; the lowest goes first. A
-- ticket is one request key, each row one try of it that waits. NULL: the line has its maximum. The caller holds the lock of the
-- story.
CREATE FUNCTION livingworld.await_turn_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_branch_number integer,
    in_ticket integer,              -- NULL: a new one; 0: ahead of all, behind the turn that runs under the same key
    in_owner uuid,
    in_request_key text,
    in_request_hash bytea,
    in_mergeable boolean,
    in_choice integer,
    in_instruction text,
    in_now timestamptz,
    in_patience interval,           -- a try that does not ask again for so long has left
    in_player text
) RETURNS integer
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
    merged integer := 0;
BEGIN
    UPDATE livingworld.turn_waiters w SET expires_at = in_now + in_patience
    WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
        AND w.ticket = in_ticket AND w.owner = in_owner;
    IF FOUND THEN
        RETURN in_ticket;
    END IF;
    DELETE FROM livingworld.turn_waiters w
    WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
        AND w.expires_at <= in_now;
    IF (
        SELECT count(*) FROM livingworld.turn_waiters w
        WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
    ) >= 1000 THEN  -- MAX_LINE of rows.py
        RETURN NULL;
    END IF;
    IF in_ticket IS NULL THEN
        INSERT INTO livingworld.turn_leases AS l (world_id, story_id, branch_number, last_ticket)
        VALUES (in_world_id, in_story_id, in_branch_number, 1)
        ON CONFLICT ON CONSTRAINT pk_turn_leases DO UPDATE SET last_ticket = l.last_ticket + 1
        RETURNING l.last_ticket INTO in_ticket;
    ELSE
        SELECT coalesce(max(w.merges), 0) INTO merged FROM livingworld.turn_waiters w
        WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
            AND w.ticket = in_ticket AND w.request_key = in_request_key;
    END IF;
    INSERT INTO livingworld.turn_waiters
        (world_id, story_id, branch_number, ticket, owner, request_key, request_hash, mergeable, merges, player, choice,
         instruction, expires_at)
    VALUES (in_world_id, in_story_id, in_branch_number, in_ticket, in_owner, in_request_key, in_request_hash, in_mergeable,
            merged, in_player, in_choice, in_instruction, in_now + in_patience);
    RETURN in_ticket;
END
$function$

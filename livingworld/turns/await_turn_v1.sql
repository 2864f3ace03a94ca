-- Stand in the line of a branch, or say that one still stands there, and return the ticket; the lower one goes first.
-- Never changed once released: new behaviour is await_turn_v2. The caller holds the lock of the story.
CREATE FUNCTION livingworld.await_turn_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_branch_number integer,
    in_ticket integer,              -- NULL: not in the line yet
    in_owner uuid,
    in_request_key text,
    in_mergeable boolean,
    in_choice integer,
    in_instruction text,
    in_now timestamptz,
    in_patience interval            -- who does not ask again for so long is gone
) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- One plan for the life of a connection, and each row by its key; see append_scenes_v1.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $function$
DECLARE
    next_ticket integer;
BEGIN
    IF in_ticket IS NOT NULL THEN
        UPDATE livingworld.turn_waiters w SET expires_at = in_now + in_patience
        WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
            AND w.ticket = in_ticket;
        RETURN in_ticket;
    END IF;
    DELETE FROM livingworld.turn_waiters w
    WHERE w.world_id = in_world_id AND w.story_id = in_story_id AND w.branch_number = in_branch_number
        AND w.expires_at <= in_now;
    INSERT INTO livingworld.turn_leases AS l (world_id, story_id, branch_number, last_ticket)
    VALUES (in_world_id, in_story_id, in_branch_number, 1)
    ON CONFLICT ON CONSTRAINT pk_turn_leases DO UPDATE SET last_ticket = l.last_ticket + 1
    RETURNING l.last_ticket INTO next_ticket;
    INSERT INTO livingworld.turn_waiters
        (world_id, story_id, branch_number, ticket, owner, request_key, mergeable, choice, instruction, expires_at)
    VALUES (in_world_id, in_story_id, in_branch_number, next_ticket, in_owner, in_request_key, in_mergeable, in_choice,
            in_instruction, in_now + in_patience);
    RETURN next_ticket;
END
$function$

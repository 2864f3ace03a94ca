-- How a request key stands in its story: whether it was carried out, and for which turn it has to wait. A key is one
-- request: it waits for the turn that runs or waits under it, or that took it in, and for no other one. Always one row.
-- The caller holds the lock of the story.
CREATE FUNCTION livingworld.request_standing_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_request_key text,
    in_owner uuid,                  -- the try that asks
    in_now timestamptz,
    OUT request_hash bytea,         -- NULL: nothing is known of the key
    OUT state text,                 -- of its turn; NULL: it never had one
    OUT attempts integer,
    OUT base_scene_number integer,
    OUT choice integer,             -- the input of its turn, what was merged into it included
    OUT instruction text,
    OUT merged_into text,
    OUT stored integer,             -- the scene that it became, or that the turn which took it in became
    OUT follows text,               -- the turn that it waits for: it runs under another try, or waits with this input in it
    OUT again boolean,              -- this very try holds it
    OUT branch_number integer,      -- where the key runs or waits; NULL: nowhere
    OUT ticket integer,             -- its place in the line, which all tries of the key share; NULL: it has none
    OUT waiting boolean,            -- this try stands at that place
    OUT mergeable boolean,          -- what stands at that place
    OUT waiting_choice integer,
    OUT waiting_instruction text
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
AS $function$
#variable_conflict use_column
DECLARE
    own record;
    place record;
    held record;
    ahead integer;
BEGIN
    again := false;
    waiting := false;
    SELECT * INTO own FROM livingworld.turns t
    WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = in_request_key;
    -- A try that waited for a turn that was replaced waits for nothing that another try could share.
    SELECT * INTO place FROM livingworld.turn_waiters w
    WHERE w.world_id = in_world_id AND w.request_key = in_request_key AND w.story_id = in_story_id
        AND w.expires_at > in_now AND (w.ticket > 0 OR w.owner = in_owner OR own.state IS DISTINCT FROM 'replaced')
    ORDER BY w.owner = in_owner DESC, w.ticket LIMIT 1;
    IF place.owner IS NOT NULL THEN
        request_hash := place.request_hash;
        branch_number := place.branch_number;
        ticket := place.ticket;
        waiting := place.owner = in_owner;
        mergeable := place.mergeable;
        waiting_choice := place.choice;
        waiting_instruction := place.instruction;
    END IF;
    IF own.state IS NULL THEN
        RETURN;
    END IF;
    request_hash := own.request_hash;
    state := own.state;
    attempts := own.attempts;
    base_scene_number := own.base_scene_number;
    choice := own.choice;
    instruction := own.instruction;
    merged_into := own.merged_into;
    stored := own.scene_number;
    IF own.merged_into IS NOT NULL THEN
        SELECT t.scene_number INTO stored FROM livingworld.turns t
        WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = own.merged_into;
        SELECT w.branch_number INTO ahead FROM livingworld.turn_waiters w
        WHERE w.world_id = in_world_id AND w.request_key = own.merged_into AND w.story_id = in_story_id
            AND w.expires_at > in_now LIMIT 1;
        follows := CASE WHEN ahead IS NOT NULL THEN own.merged_into END;
        branch_number := coalesce(branch_number, ahead);
    END IF;
    IF own.state <> 'committed' THEN
        SELECT l.branch_number, l.request_key, l.owner, l.expires_at > in_now AND l.branch_version = b.version AS live
        INTO held
        FROM livingworld.turn_leases l
        JOIN livingworld.branches b
            ON b.world_id = in_world_id AND b.story_id = in_story_id AND b.branch_number = l.branch_number
        WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.branch_number = own.branch_number
            AND l.request_key = coalesce(own.merged_into, in_request_key);
        again := coalesce(held.live AND held.owner = in_owner, false);
        follows := CASE WHEN held.live AND held.owner <> in_owner THEN held.request_key ELSE follows END;
        branch_number := coalesce(branch_number, held.branch_number);
    END IF;
END
$function$

-- How a request key stands in its story: whether it was carried out, and for which turn it has to wait. A key is one
-- request: it waits for the turn that runs or waits under it, or that took it in, and for no other one. Always one row.
-- The caller holds the lock of the story.
CREATE FUNCTION livingworld.request_standing_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_request_key text,
    in_owner uuid,                  -- the try that asks
    in_now timestamptz
) RETURNS TABLE (
    request_hash bytea,             -- NULL: nothing is known of the key
    state text,                     -- of its turn; NULL: it never had one
    attempts integer,
    base_scene_number integer,
    choice integer,                 -- the input of its turn, what was merged into it included
    instruction text,
    merged_into text,
    stored integer,                 -- the scene that it became, or that the turn which took it in became
    follows text,                   -- the turn that it waits for: it runs under another try, or waits with this input in it
    again boolean,                  -- this very try holds it
    branch_number integer,          -- where the key runs or waits; NULL: nowhere
    ticket integer,                 -- its place in the line, which all tries of the key share; NULL: it has none
    waiting boolean,                -- this try stands at that place
    mergeable boolean,              -- what stands at that place
    waiting_choice integer,
    waiting_instruction text,
    took_in boolean                 -- other inputs were merged into it
)
LANGUAGE plpgsql
STABLE
ROWS 1
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT coalesce(k.request_hash, w.request_hash), k.state, k.attempts, k.base_scene_number, k.choice, k.instruction,
               k.merged_into, coalesce(k.scene_number, leader.scene_number),
               CASE WHEN l.live AND l.owner <> in_owner THEN l.request_key
                    WHEN ahead.branch_number IS NOT NULL THEN k.merged_into END,
               coalesce(l.live AND l.owner = in_owner, false),
               coalesce(w.branch_number, ahead.branch_number, l.branch_number),
               w.ticket, coalesce(w.owner = in_owner, false), w.mergeable, w.choice, w.instruction,
               EXISTS (
                   SELECT FROM livingworld.turns m
                   WHERE m.world_id = in_world_id AND m.merged_into = in_request_key AND m.story_id = in_story_id
               )
        FROM (SELECT) one
        LEFT JOIN LATERAL (
            SELECT * FROM livingworld.turns k
            WHERE k.world_id = in_world_id AND k.story_id = in_story_id AND k.request_key = in_request_key OFFSET 0
        ) k ON true
        LEFT JOIN LATERAL (
            SELECT * FROM livingworld.turns leader
            WHERE leader.world_id = in_world_id AND leader.story_id = in_story_id AND leader.request_key = k.merged_into
            OFFSET 0
        ) leader ON true
        LEFT JOIN LATERAL (
            SELECT l.branch_number, l.request_key, l.owner, l.expires_at > in_now AND l.branch_version = b.version AS live
            FROM livingworld.turn_leases l
            JOIN livingworld.branches b
                ON b.world_id = in_world_id AND b.story_id = in_story_id AND b.branch_number = l.branch_number
            WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.branch_number = k.branch_number
                AND l.request_key = coalesce(k.merged_into, in_request_key) AND k.state <> 'committed' OFFSET 0
        ) l ON true
        LEFT JOIN LATERAL (
            -- A try that waited for a turn that was replaced waits for nothing that another try could share.
            SELECT * FROM livingworld.turn_waiters w
            WHERE w.world_id = in_world_id AND w.request_key = in_request_key AND w.story_id = in_story_id
                AND w.expires_at > in_now
                AND (w.ticket > 0 OR w.owner = in_owner OR k.state IS DISTINCT FROM 'replaced')
            ORDER BY w.owner = in_owner DESC, w.ticket LIMIT 1
        ) w ON true
        LEFT JOIN LATERAL (
            SELECT w.branch_number FROM livingworld.turn_waiters w
            WHERE w.world_id = in_world_id AND w.request_key = k.merged_into AND w.story_id = in_story_id
                AND w.expires_at > in_now LIMIT 1
        ) ahead ON true;
END
$function$

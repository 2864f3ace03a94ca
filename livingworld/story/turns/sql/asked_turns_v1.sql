-- What take_turns_v1 decides by, for each turn that is asked for: the story, the branch and its lease, how the request key
-- stands, and whose turn comes before. The caller holds the locks of the stories.
CREATE FUNCTION livingworld.asked_turns_v1(
    in_world_id uuid,
    in_now timestamptz,
    in_story_ids uuid[],            -- these are the arguments of take_turns_v1
    in_branch_numbers integer[],
    in_expected_heads integer[],
    in_regenerates integer[],
    in_request_keys text[],
    in_request_hashes bytea[],
    in_owners uuid[],
    in_choices integer[],
    in_instructions text[],
    in_busy text[]
) RETURNS TABLE (
    -- What is asked for.
    story_id uuid, branch_number integer, expected_head integer, regenerates integer, request_key text, request_hash bytea,
    owner uuid, choice integer, instruction text, busy text, ordinal bigint,
    -- The story, the branch, and who holds it.
    found boolean, archived boolean, branch integer, head_scene_number integer, branch_version integer,
    lease_token bigint, holder uuid, holder_key text, held_version integer, taken_at timestamptz, expires_at timestamptz,
    holder_runs boolean,
    -- How the request key stands; see request_standing_v1.
    same_request boolean, state text, stored integer, attempts integer, merged_into text, follows text, former_base integer,
    former_choice integer, former_instruction text, own_ticket integer, waiting boolean, again boolean, took_in boolean,
    own_mergeable boolean,
    own_choice integer,             -- with what was merged into it: where it runs, or where it waits
    own_instruction text,
    earlier_key text                -- the turn that comes before; NULL: none does
)
LANGUAGE sql
STABLE
AS $function$
    SELECT given.*, s.story_id IS NOT NULL AS found, s.archived_at IS NOT NULL AS archived, b.branch_number AS branch,
           b.head_scene_number, b.version AS branch_version, l.token AS lease_token, l.owner AS holder,
           l.request_key AS holder_key, l.branch_version AS held_version, l.taken_at, l.expires_at,
           h.state = 'running' AND h.token = l.token AS holder_runs,
           k.request_hash = given.request_hash AS same_request, k.state, k.stored, k.attempts, k.merged_into, k.follows,
           k.base_scene_number AS former_base, k.choice AS former_choice, k.instruction AS former_instruction,
           k.ticket AS own_ticket, k.waiting, k.again, k.took_in,
           coalesce(k.mergeable, given.busy = 'merge') AS own_mergeable,
           -- With what was merged into it: where it runs, or where it waits.
           CASE WHEN k.again THEN k.choice WHEN k.ticket IS NOT NULL THEN k.waiting_choice
                ELSE given.choice END AS own_choice,
           CASE WHEN k.again THEN k.instruction WHEN k.ticket IS NOT NULL THEN k.waiting_instruction
                ELSE given.instruction END AS own_instruction,
           earlier.request_key AS earlier_key
    FROM unnest(
        in_story_ids, in_branch_numbers, in_expected_heads, in_regenerates, in_request_keys, in_request_hashes, in_owners,
        in_choices, in_instructions, in_busy
    ) WITH ORDINALITY AS given (
        story_id, branch_number, expected_head, regenerates, request_key, request_hash, owner, choice, instruction, busy,
        ordinal
    )
    LEFT JOIN LATERAL (
        SELECT * FROM livingworld.stories s WHERE s.world_id = in_world_id AND s.story_id = given.story_id OFFSET 0
    ) s ON true
    CROSS JOIN LATERAL livingworld.request_standing_v1(
        in_world_id, given.story_id, given.request_key, given.owner, in_now
    ) AS k
    LEFT JOIN LATERAL (
        SELECT * FROM livingworld.branches b
        WHERE b.world_id = in_world_id AND b.story_id = given.story_id
            AND b.branch_number = coalesce(given.branch_number, k.branch_number, s.current_branch) OFFSET 0
    ) b ON true
    LEFT JOIN LATERAL (
        SELECT * FROM livingworld.turn_leases l
        WHERE l.world_id = in_world_id AND l.story_id = given.story_id AND l.branch_number = b.branch_number OFFSET 0
    ) l ON true
    LEFT JOIN LATERAL (
        SELECT * FROM livingworld.turns h
        WHERE h.world_id = in_world_id AND h.story_id = given.story_id AND h.request_key = l.request_key OFFSET 0
    ) h ON true
    LEFT JOIN LATERAL (
        -- A ticket that came before and still asks goes first, but for tries that follow a turn that is over.
        SELECT w.request_key FROM livingworld.turn_waiters w
        WHERE w.world_id = in_world_id AND w.story_id = given.story_id AND w.branch_number = b.branch_number
            AND w.ticket < coalesce(k.ticket, 2147483647) AND w.expires_at > in_now
            AND (w.ticket > 0 OR EXISTS (
                SELECT FROM livingworld.turns f
                WHERE f.world_id = in_world_id AND f.story_id = given.story_id AND f.request_key = w.request_key
                    AND f.state IN ('running', 'failed')
            ))
        ORDER BY w.ticket LIMIT 1
    ) earlier ON true
$function$

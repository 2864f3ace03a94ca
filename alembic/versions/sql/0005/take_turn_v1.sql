-- Take one turn. Where nothing stands in its way (its key was never seen, no turn has the branch and nobody waits for it)
-- it is granted by statements of one row each; everything else is decided by take_turns_v1. The arguments and the answer
-- are those of take_turns_v1, without arrays.
--
-- The story is locked by the first statement and everything else is read by later ones: lock_stories_v1 says why.
CREATE FUNCTION livingworld.take_turn_v1(
    in_world_id uuid,
    in_wait boolean,
    in_lease interval,
    in_patience interval,
    in_story_id uuid,
    in_branch_number integer,
    in_expected_head integer,
    in_regenerates integer,
    in_request_key text,
    in_request_hash bytea,
    in_owner uuid,
    in_choice integer,
    in_instruction text,
    in_busy text,
    in_recent integer,
    in_player text,
    in_replace_own boolean,
    OUT place integer,
    OUT status text,
    OUT branch_number integer,
    OUT base_scene_number integer,
    OUT token bigint,
    OUT attempt integer,
    OUT scene_number integer,
    OUT request_key text,
    OUT player text,
    OUT running_seconds double precision,
    OUT held_until timestamptz,
    OUT ticket integer,
    OUT merges integer,
    OUT choice integer,
    OUT instruction text,
    OUT answered uuid,
    OUT context text,
    OUT next_key text
)
LANGUAGE plpgsql
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
    current_number integer;
    its record;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'livingworld needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF in_wait THEN
        SELECT s.current_branch INTO current_number FROM livingworld.stories s
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.archived_at IS NULL FOR NO KEY UPDATE;
    ELSE
        SELECT s.current_branch INTO current_number FROM livingworld.stories s
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.archived_at IS NULL
        FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
    -- As take_plain_turns_v1 does it for many.
    SELECT b.branch_number, b.head_scene_number, b.version, coalesce(l.token, 0) + 1 AS token,
           l.token IS NOT NULL AS leased, clock_timestamp() AS taken_at
    INTO its
    FROM livingworld.branches b
    LEFT JOIN LATERAL (
        SELECT l.token, l.request_key FROM livingworld.turn_leases l
        WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.branch_number = b.branch_number OFFSET 0
    ) l ON true
    WHERE b.world_id = in_world_id AND b.story_id = in_story_id
        -- Not coalesce, by which no index is gone down in a database that shows one world only.
        AND b.branch_number = CASE WHEN in_branch_number IS NULL THEN current_number ELSE in_branch_number END
        AND current_number IS NOT NULL AND in_regenerates IS NULL
        AND (in_expected_head IS NULL OR in_expected_head = coalesce(b.head_scene_number, 0))
        AND NOT EXISTS (
            SELECT FROM livingworld.turns t
            WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = in_request_key OFFSET 0
        )
        -- What runs at the branch, or was never ended.
        AND NOT EXISTS (
            SELECT FROM livingworld.turns f
            WHERE f.world_id = in_world_id AND f.story_id = in_story_id AND f.request_key = l.request_key
                AND f.token = l.token AND f.state = 'running' OFFSET 0
        )
        AND NOT EXISTS (
            SELECT FROM livingworld.turns m
            WHERE m.world_id = in_world_id AND m.merged_into = in_request_key AND m.story_id = in_story_id OFFSET 0
        )
        AND NOT EXISTS (
            SELECT FROM livingworld.turn_waiters w
            WHERE w.world_id = in_world_id AND w.story_id = in_story_id OFFSET 0
        )
        AND (in_choice IS NULL OR EXISTS (
            SELECT FROM livingworld.scenes c
            WHERE c.world_id = in_world_id AND c.story_id = in_story_id AND c.scene_number = b.head_scene_number
                AND cardinality(c.choices) >= in_choice OFFSET 0
        ));
    IF NOT FOUND THEN
        SELECT * INTO place, status, branch_number, base_scene_number, token, attempt, scene_number, request_key, player,
                      running_seconds, held_until, ticket, merges, choice, instruction, answered, context, next_key
        FROM livingworld.take_turns_v1(
            in_world_id, in_wait, in_lease, in_patience, ARRAY[in_story_id], ARRAY[in_branch_number],
            ARRAY[in_expected_head], ARRAY[in_regenerates], ARRAY[in_request_key], ARRAY[in_request_hash],
            ARRAY[in_owner], ARRAY[in_choice], ARRAY[in_instruction], ARRAY[in_busy], ARRAY[in_recent],
            ARRAY[in_player], ARRAY[in_replace_own]
        );
        RETURN;
    END IF;

    IF its.leased THEN
        UPDATE livingworld.turn_leases l
        SET token = its.token, owner = in_owner, request_key = in_request_key, branch_version = its.version,
            taken_at = its.taken_at, expires_at = its.taken_at + in_lease
        WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.branch_number = its.branch_number;
    ELSE
        INSERT INTO livingworld.turn_leases
            (world_id, story_id, branch_number, token, owner, request_key, branch_version, taken_at, expires_at)
        VALUES (in_world_id, in_story_id, its.branch_number, its.token, in_owner, in_request_key, its.version,
                its.taken_at, its.taken_at + in_lease);
    END IF;
    INSERT INTO livingworld.turns
        (world_id, story_id, request_key, request_hash, state, branch_number, base_scene_number, player, choice,
         instruction, origin_key, attempts, token, created_at, updated_at)
    VALUES (in_world_id, in_story_id, in_request_key, in_request_hash, 'running', its.branch_number,
            its.head_scene_number, in_player, in_choice, in_instruction, in_request_key, 1, its.token, its.taken_at,
            now());
    -- take_turns_v1 says why a take need not wait for the disk.
    SELECT 1, 'granted', its.branch_number, its.head_scene_number, its.token, 1, in_choice, in_instruction,
           livingworld.turn_context_v1(in_world_id, in_story_id, its.branch_number, its.head_scene_number, in_recent),
           set_config('synchronous_commit', 'off', true)
    INTO place, status, branch_number, base_scene_number, token, attempt, choice, instruction, context, request_key;
    request_key := NULL;
END
$function$

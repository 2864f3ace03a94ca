-- Grant the turns that nothing stands in the way of, all by the same few statements: a key that was never seen, at a branch
-- that no turn has and that nobody waits for. What becomes of the others, take_turns_v1 decides, each by what those before
-- it have written; so of several inputs of a story only the first may be plain. The caller holds the locks of the stories.
CREATE FUNCTION livingworld.take_plain_turns_v1(
    in_world_id uuid,
    in_locked uuid[],
    in_now timestamptz,
    in_lease interval,
    -- As take_turns_v1 has them.
    in_story_ids uuid[],
    in_branch_numbers integer[],
    in_expected_heads integer[],
    in_regenerates integer[],
    in_request_keys text[],
    in_request_hashes bytea[],
    in_owners uuid[],
    in_choices integer[],
    in_instructions text[],
    in_recents integer[],
    in_players text[]
) RETURNS TABLE (
    place integer,                  -- among the inputs
    branch_number integer,
    base_scene integer,
    token bigint,
    context text
)
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    places integer[];
    recents integer[];
    branches integer[];
    base_scenes integer[];
    tokens bigint[];
    stories uuid[];
    request_keys text[];
    owners uuid[];
    versions integer[];
BEGIN
    SELECT array_agg(g.place), array_agg(g.story_id), array_agg(g.request_key), array_agg(g.owner), array_agg(g.recent),
           array_agg(b.branch_number), array_agg(b.head_scene_number), array_agg(b.version),
           array_agg(coalesce(l.token, 0) + 1)
    INTO places, stories, request_keys, owners, recents, branches, base_scenes, versions, tokens
    -- OFFSET 0 keeps the planner from joining in an order that reads every story of the world.
    FROM unnest(
        in_story_ids, in_branch_numbers, in_expected_heads, in_regenerates, in_request_keys, in_owners, in_choices,
        in_recents
    ) WITH ORDINALITY AS g (
        story_id, branch_number, expected_head, regenerates, request_key, owner, choice, recent, place
    )
    CROSS JOIN LATERAL (
        SELECT s.current_branch FROM livingworld.stories s
        WHERE s.world_id = in_world_id AND s.story_id = g.story_id AND s.archived_at IS NULL OFFSET 0
    ) s
    CROSS JOIN LATERAL (
        SELECT b.branch_number, b.head_scene_number, b.version FROM livingworld.branches b
        WHERE b.world_id = in_world_id AND b.story_id = g.story_id
            -- Not coalesce, by which no index is gone down in a database that shows one world only.
            AND b.branch_number = CASE WHEN g.branch_number IS NULL THEN s.current_branch ELSE g.branch_number END OFFSET 0
    ) b
    LEFT JOIN LATERAL (
        SELECT * FROM livingworld.turn_leases l
        WHERE l.world_id = in_world_id AND l.story_id = g.story_id AND l.branch_number = b.branch_number OFFSET 0
    ) l ON true
    WHERE g.story_id = ANY (in_locked) AND g.place = array_position(in_story_ids, g.story_id) AND g.regenerates IS NULL
        AND coalesce(g.expected_head = coalesce(b.head_scene_number, 0), true)
        AND NOT EXISTS (
            SELECT FROM livingworld.turns t
            WHERE t.world_id = in_world_id AND t.story_id = g.story_id AND t.request_key = g.request_key OFFSET 0
        )
        -- What runs at the branch, or was never ended.
        AND NOT EXISTS (
            SELECT FROM livingworld.turns f
            WHERE f.world_id = in_world_id AND f.story_id = g.story_id AND f.request_key = l.request_key
                AND f.token = l.token AND f.state = 'running' OFFSET 0
        )
        AND NOT EXISTS (
            SELECT FROM livingworld.turns m
            WHERE m.world_id = in_world_id AND m.merged_into = g.request_key AND m.story_id = g.story_id OFFSET 0
        )
        AND NOT EXISTS (
            SELECT FROM livingworld.turn_waiters w
            WHERE w.world_id = in_world_id AND w.story_id = g.story_id OFFSET 0
        )
        AND (g.choice IS NULL OR EXISTS (
            SELECT FROM livingworld.scenes c
            WHERE c.world_id = in_world_id AND c.story_id = g.story_id AND c.scene_number = b.head_scene_number
                AND cardinality(c.choices) >= g.choice OFFSET 0
        ));
    IF places IS NULL THEN
        RETURN;
    END IF;

    UPDATE livingworld.turn_leases l
    SET token = g.token, owner = g.owner, request_key = g.request_key, branch_version = g.version, taken_at = in_now,
        expires_at = in_now + in_lease
    FROM unnest(stories, branches, versions, tokens, owners, request_keys)
        AS g (story_id, branch_number, version, token, owner, request_key)
    WHERE l.world_id = in_world_id AND l.story_id = ANY (stories)
        AND l.story_id = g.story_id AND l.branch_number = g.branch_number;
    IF 1 = ANY (tokens) THEN
        INSERT INTO livingworld.turn_leases
            (world_id, story_id, branch_number, token, owner, request_key, branch_version, taken_at, expires_at)
        SELECT in_world_id, g.story_id, g.branch_number, 1, g.owner, g.request_key, g.version, in_now, in_now + in_lease
        FROM unnest(stories, branches, versions, tokens, owners, request_keys)
            AS g (story_id, branch_number, version, token, owner, request_key)
        WHERE g.token = 1
        ON CONFLICT ON CONSTRAINT pk_turn_leases DO NOTHING; -- it had waiters before
    END IF;
    INSERT INTO livingworld.turns
        (world_id, story_id, request_key, request_hash, state, branch_number, base_scene_number, player, choice,
         instruction, origin_key, attempts, token, created_at, updated_at)
    SELECT in_world_id, g.story_id, g.request_key, in_request_hashes[g.place], 'running', g.branch_number, g.base_scene,
           in_players[g.place], in_choices[g.place], in_instructions[g.place], g.request_key, 1, g.token, in_now, now()
    FROM unnest(places, stories, request_keys, branches, base_scenes, tokens)
        AS g (place, story_id, request_key, branch_number, base_scene, token);
    RETURN QUERY
        SELECT g.place, g.branch_number, g.base_scene, g.token, g.context
        FROM unnest(
            places, branches, base_scenes, tokens,
            livingworld.turn_contexts_v1(in_world_id, stories, branches, base_scenes, recents)
        ) AS g (place, branch_number, base_scene, token, context);
END
$function$

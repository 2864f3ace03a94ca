-- Turns of story $2 in world $1, the newest first: the one with request key $3; or, where that is NULL, the next $8 before
-- the time $6 and key $7, of player $4 and taken on branch $5 (NULL: any). Each with what its last attempt is known by, the
-- sums of all attempts and calls, and the inputs that were merged into it. The turns that keep the text of scenes which no
-- turn wrote are left out.
WITH page AS (
    SELECT t.* FROM livingworld.turns AS t
    WHERE t.world_id = $1::uuid AND t.story_id = $2::uuid AND t.request_key = $3::text
    UNION ALL
    (
        SELECT t.* FROM livingworld.turns AS t
        WHERE $3::text IS NULL AND $4::text IS NULL AND t.world_id = $1::uuid AND t.story_id = $2::uuid
            AND t.created_at > '-infinity' AND (t.created_at, t.request_key) < ($6::timestamptz, $7::text)
            AND t.branch_number = coalesce($5::integer, t.branch_number) AND NOT starts_with(t.request_key, 'livingworld:')
        ORDER BY t.created_at DESC, t.request_key DESC LIMIT $8::integer
    )
    UNION ALL
    (
        -- The index ends with the time: those of its last moment come all, and are put in order here.
        SELECT * FROM (
            SELECT t.* FROM livingworld.turns AS t
            WHERE $3::text IS NULL AND t.world_id = $1::uuid AND t.player = $4::text AND t.story_id = $2::uuid
                AND t.created_at <= $6::timestamptz AND (t.created_at < $6 OR t.request_key < $7::text)
                AND t.branch_number = coalesce($5::integer, t.branch_number)
            ORDER BY t.created_at DESC FETCH FIRST ($8::integer) ROWS WITH TIES
        ) AS t
        ORDER BY t.created_at DESC, t.request_key DESC LIMIT $8::integer
    )
)
SELECT t.story_id, t.request_key, t.player, t.state, t.branch_number, t.base_scene_number, t.choice, t.instruction,
       t.own_input, t.merged_into, t.regenerates, t.scene_number, t.attempts, t.created_at, t.updated_at,
       last.model, last.duration_ms, last.error, used.input_tokens, used.output_tokens, merged.inputs
FROM page AS t
LEFT JOIN LATERAL (
    SELECT g.model, g.duration_ms, g.error FROM livingworld.generations AS g
    WHERE g.world_id = $1 AND g.request_key = t.request_key AND g.story_id = $2
    ORDER BY g.attempt DESC LIMIT 1
) AS last ON true
CROSS JOIN LATERAL (
    SELECT coalesce(sum(s.input_tokens), 0) AS input_tokens, coalesce(sum(s.output_tokens), 0) AS output_tokens
    FROM (
        SELECT g.input_tokens, g.output_tokens FROM livingworld.generations AS g
        WHERE g.world_id = $1 AND g.request_key = t.request_key AND g.story_id = $2
        UNION ALL
        SELECT c.input_tokens, c.output_tokens FROM livingworld.model_calls AS c
        WHERE c.world_id = $1 AND c.story_id = $2 AND c.request_key = t.request_key
    ) AS s
) AS used
CROSS JOIN LATERAL (
    SELECT json_agg(json_build_array(m.request_key, m.player, m.choice, m.instruction)
                    ORDER BY m.created_at, m.request_key) AS inputs
    FROM livingworld.turns AS m
    WHERE m.world_id = $1 AND m.merged_into = t.request_key AND m.story_id = $2
) AS merged
ORDER BY t.created_at DESC, t.request_key DESC

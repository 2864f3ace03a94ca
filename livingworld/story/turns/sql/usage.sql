-- What models were given and answered in world $1, summed by the parts that $2 names (turn, story, player, model, script): in
-- story $3, of its turn $4, of player $5, by model $6, with script $7, in turns since $8 (NULL: any). The answers that became
-- scenes, or should have, and the calls of the turns.
WITH chosen AS (
    SELECT t.* FROM livingworld.turns AS t
    WHERE t.world_id = $1::uuid AND t.story_id = $3::uuid AND t.request_key = $4::text
    UNION ALL
    SELECT t.* FROM livingworld.turns AS t
    WHERE $4::text IS NULL AND $5::text IS NULL AND t.world_id = $1::uuid AND t.story_id = $3::uuid
        AND t.created_at > '-infinity' AND t.created_at >= coalesce($8::timestamptz, '-infinity')
    UNION ALL
    SELECT t.* FROM livingworld.turns AS t
    WHERE $4::text IS NULL AND t.world_id = $1::uuid AND t.player = $5::text AND t.story_id = coalesce($3::uuid, t.story_id)
    UNION ALL
    SELECT t.* FROM livingworld.turns AS t
    WHERE $3::uuid IS NULL AND $5::text IS NULL AND t.world_id = $1::uuid
),
asked AS (
    SELECT t.story_id, t.request_key, t.player, a.model, a.script_version, a.input_tokens, a.output_tokens
    FROM chosen AS t
    CROSS JOIN LATERAL (
        SELECT g.model, g.script_version, g.input_tokens, g.output_tokens FROM livingworld.generations AS g
        WHERE g.world_id = $1::uuid AND g.request_key = t.request_key AND g.story_id = t.story_id
        UNION ALL
        SELECT c.model, c.script_version, c.input_tokens, c.output_tokens FROM livingworld.model_calls AS c
        WHERE c.world_id = $1::uuid AND c.story_id = t.story_id AND c.request_key = t.request_key
    ) AS a
    WHERE t.player IS NOT DISTINCT FROM coalesce($5::text, t.player)
        AND t.created_at >= coalesce($8::timestamptz, '-infinity') AND NOT starts_with(t.request_key, 'livingworld:')
        AND ($6::text IS NULL OR a.model = $6) AND ($7::text IS NULL OR a.script_version = $7)
)
SELECT CASE WHEN 'turn' = ANY ($2::text[]) THEN a.request_key END AS request_key,
       CASE WHEN 'turn' = ANY ($2::text[]) OR 'story' = ANY ($2::text[]) THEN a.story_id END AS story_id,
       CASE WHEN 'player' = ANY ($2::text[]) THEN a.player END AS player,
       CASE WHEN 'model' = ANY ($2::text[]) THEN a.model END AS model,
       CASE WHEN 'script' = ANY ($2::text[]) THEN a.script_version END AS script_version,
       count(*) AS calls, coalesce(sum(a.input_tokens), 0) AS input_tokens, coalesce(sum(a.output_tokens), 0) AS output_tokens
FROM asked AS a
GROUP BY 1, 2, 3, 4, 5
ORDER BY coalesce(sum(a.input_tokens), 0) + coalesce(sum(a.output_tokens), 0) DESC, 1, 2, 3, 4, 5

-- The next $6 generations of story $2 in world $1, those of the newest turns first and of a turn the last attempt first,
-- after the turn of the time $3 with key $4 and its attempt $5. Turns without a generation are passed over before they are
-- counted; one more is read, since nothing may be left of the first.
SELECT g.*, coalesce(g.parsed ->> 'content', s.content) AS content, t.created_at AS turn_created_at
FROM (
    SELECT t.created_at, t.request_key FROM livingworld.turns AS t
    WHERE t.world_id = $1::uuid AND t.story_id = $2::uuid AND t.created_at > '-infinity'
        AND (t.created_at, t.request_key) <= ($3::timestamptz, $4::text)
        AND EXISTS (
            SELECT FROM livingworld.generations AS g
            WHERE g.world_id = $1::uuid AND g.request_key = t.request_key AND g.story_id = $2::uuid OFFSET 0
        )
    ORDER BY t.created_at DESC, t.request_key DESC LIMIT $6::integer + 1
) AS t
CROSS JOIN LATERAL (
    SELECT * FROM livingworld.generations AS g
    WHERE g.world_id = $1::uuid AND g.request_key = t.request_key AND g.story_id = $2::uuid OFFSET 0
) AS g
LEFT JOIN LATERAL (
    SELECT s.content FROM livingworld.scenes AS s
    WHERE s.world_id = $1::uuid AND s.story_id = $2::uuid AND s.scene_number = g.scene_number OFFSET 0
) AS s ON true
WHERE (t.created_at, t.request_key) <> ($3::timestamptz, $4::text) OR g.attempt < $5::integer
ORDER BY t.created_at DESC, t.request_key DESC, g.attempt DESC LIMIT $6::integer

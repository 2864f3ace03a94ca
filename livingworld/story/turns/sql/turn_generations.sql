-- The generations of turn $3 of story $2 in world $1, the first attempt first, each with its text.
SELECT g.*, coalesce(g.parsed ->> 'content', s.content) AS content
FROM livingworld.generations AS g
LEFT JOIN LATERAL (
    SELECT s.content FROM livingworld.scenes AS s
    WHERE s.world_id = $1 AND s.story_id = $2 AND s.scene_number = g.scene_number OFFSET 0
) AS s ON true
WHERE g.world_id = $1 AND g.request_key = $3 AND g.story_id = $2
ORDER BY g.attempt

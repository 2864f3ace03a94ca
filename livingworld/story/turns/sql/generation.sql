-- Generation $2 of world $1, with its text: that of the scene which shows it, or what was made of the answer.
SELECT g.*, coalesce(g.parsed ->> 'content', s.content) AS content
FROM livingworld.generations g
LEFT JOIN LATERAL (
    SELECT s.content FROM livingworld.scenes s
    WHERE s.world_id = $1 AND s.story_id = g.story_id AND s.scene_number = g.scene_number OFFSET 0
) s ON true
WHERE g.world_id = $1 AND g.generation_id = $2

-- Every generation for the place of scene $3 of story $2 in world $1, oldest first: those of the turn that made it, those
-- of the turns that regenerated it, and the text of a scene that no turn made.
SELECT g.*, coalesce(g.parsed ->> 'content', s.content) AS content
FROM (
    SELECT t.origin_key
    FROM livingworld.generations shown
    CROSS JOIN LATERAL (
        SELECT t.origin_key FROM livingworld.turns t
        WHERE t.world_id = $1 AND t.story_id = $2 AND t.request_key = shown.request_key OFFSET 0
    ) t
    WHERE shown.world_id = $1 AND shown.story_id = $2 AND shown.scene_number = $3
    UNION
    SELECT 'livingworld:scene:' || $3
) place
CROSS JOIN LATERAL (
    SELECT place.origin_key AS request_key
    UNION ALL
    SELECT again.request_key FROM livingworld.turns again
    WHERE again.world_id = $1 AND again.origin_key = place.origin_key AND again.story_id = $2 AND again.regenerates IS NOT NULL
) turn
CROSS JOIN LATERAL (
    SELECT * FROM livingworld.generations g
    WHERE g.world_id = $1 AND g.request_key = turn.request_key AND g.story_id = $2 OFFSET 0
) g
LEFT JOIN LATERAL (
    SELECT s.content FROM livingworld.scenes s
    WHERE s.world_id = $1 AND s.story_id = $2 AND s.scene_number = g.scene_number OFFSET 0
) s ON true
ORDER BY g.created_at, g.generation_id

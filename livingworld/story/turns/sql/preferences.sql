-- The next $4 rejected answers of world $1 after generation $2, of story $3 where it is named, each with the answer to the
-- same prompt that a scene shows at its place.
SELECT r.generation_id, encode(r.prompt_digest, 'hex') AS prompt_digest, chosen.content AS chosen,
       r.parsed ->> 'content' AS rejected
FROM livingworld.generations r
CROSS JOIN LATERAL (
    SELECT t.origin_key FROM livingworld.turns t
    WHERE t.world_id = $1 AND t.story_id = r.story_id AND t.request_key = r.request_key OFFSET 0
) place
CROSS JOIN LATERAL (
    SELECT s.content
    FROM (
        SELECT place.origin_key AS request_key
        UNION ALL
        SELECT again.request_key FROM livingworld.turns again
        WHERE again.world_id = $1 AND again.origin_key = place.origin_key AND again.story_id = r.story_id
            AND again.regenerates IS NOT NULL
    ) turn
    CROSS JOIN LATERAL (
        SELECT c.scene_number FROM livingworld.generations c
        WHERE c.world_id = $1 AND c.request_key = turn.request_key AND c.story_id = r.story_id
            AND c.scene_number IS NOT NULL AND c.prompt_digest = r.prompt_digest OFFSET 0
    ) c
    CROSS JOIN LATERAL (
        SELECT s.content FROM livingworld.scenes s
        WHERE s.world_id = $1 AND s.story_id = r.story_id AND s.scene_number = c.scene_number OFFSET 0
    ) s
    ORDER BY c.scene_number LIMIT 1
) chosen
WHERE r.world_id = $1 AND r.generation_id > $2 AND r.scene_number IS NULL AND r.state = 'complete'
    AND ($3::uuid IS NULL OR r.story_id = $3)
ORDER BY r.generation_id LIMIT $4

-- Up to $3 scenes of world $1 whose text has no vector of the embedder $2, or has one of an older version; not those that stand in
-- $4 and $5. Only scenes whose words are indexed are seen: their versions are read from narrow indexes, and no text that has its
-- vector is.
SELECT missing.story_id, missing.scene_number, scene.version, scene.content
FROM (
    SELECT w.story_id, w.scene_number
    FROM livingworld.scene_words AS w
    LEFT JOIN livingworld.scene_vectors AS v
        ON v.world_id = $1::uuid AND v.embedder = $2::text AND v.story_id = w.story_id AND v.scene_number = w.scene_number
    WHERE w.world_id = $1::uuid AND (v.version IS NULL OR v.version < w.version) AND NOT EXISTS (
        SELECT FROM unnest($4::uuid[], $5::integer[]) AS passed (story_id, scene_number)
        WHERE passed.story_id = w.story_id AND passed.scene_number = w.scene_number
    )
    ORDER BY w.story_id, w.scene_number LIMIT $3::integer
) AS missing
CROSS JOIN LATERAL (
    SELECT s.version, left(s.content, 100000) AS content FROM livingworld.scenes AS s
    WHERE s.world_id = $1 AND s.story_id = missing.story_id AND s.scene_number = missing.scene_number OFFSET 0
) AS scene

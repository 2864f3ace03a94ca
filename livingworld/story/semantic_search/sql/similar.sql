-- The $6 scenes and characters of world $1 that are nearest to the vector $3 of the embedder $2, of the kinds $4, in story $5
-- (NULL: all; the characters of a story are those in its scenes), with at least the similarity $8. Of each kind the $7 newest
-- are compared: of the newest stories, and the newest scenes of a story, first.
WITH scene AS MATERIALIZED (
    SELECT v.story_id, v.scene_number, livingworld.vector_similarity(v.vector, $3::real[]) AS similarity,
           cardinality(v.vector) AS dimensions, row_number() OVER (ORDER BY v.story_id DESC, v.scene_number DESC) AS place
    FROM livingworld.scene_vectors AS v
    WHERE v.world_id = $1::uuid AND v.embedder = $2::text AND 'scene' = ANY ($4::text[])
        AND v.story_id >= coalesce($5::uuid, '00000000-0000-0000-0000-000000000000')
        AND v.story_id <= coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    ORDER BY v.story_id DESC, v.scene_number DESC LIMIT $7::integer + 1
),
person AS MATERIALIZED (
    SELECT v.character_id, livingworld.vector_similarity(v.vector, $3::real[]) AS similarity,
           cardinality(v.vector) AS dimensions, row_number() OVER (ORDER BY v.character_id DESC) AS place
    FROM livingworld.character_vectors AS v
    WHERE v.world_id = $1 AND v.embedder = $2 AND 'character' = ANY ($4::text[]) AND ($5::uuid IS NULL OR EXISTS (
        SELECT FROM livingworld.scene_cast AS m
        WHERE m.world_id = $1 AND m.story_id = $5 AND m.character_id = v.character_id AND m.scene_number > 0 OFFSET 0
    ))
    ORDER BY v.character_id DESC LIMIT $7::integer + 1
),
state AS (
    SELECT (SELECT count(*) FROM scene) > $7::integer OR (SELECT count(*) FROM person) > $7::integer AS is_cut
),
nearest AS (
    SELECT found.* FROM (
        SELECT 'scene' AS kind, s.story_id, s.scene_number, NULL::uuid AS character_id, s.similarity, s.dimensions
        FROM scene AS s WHERE s.place <= $7
        UNION ALL
        SELECT 'character', NULL, NULL, p.character_id, p.similarity, p.dimensions FROM person AS p WHERE p.place <= $7
    ) AS found
    WHERE $8::double precision IS NULL OR found.similarity >= $8
    ORDER BY found.similarity DESC, found.kind, found.story_id, found.scene_number, found.character_id LIMIT $6::integer
)
-- One row at least, so that the state is returned also where nothing is found.
SELECT state.is_cut, n.*, coalesce(text.title, '') AS title, coalesce(text.excerpt, '') AS excerpt
FROM state
LEFT JOIN nearest AS n ON true
LEFT JOIN LATERAL (
    SELECT t.title, left(s.content, 300) AS excerpt
    FROM livingworld.scenes AS s
    JOIN livingworld.stories AS t ON t.world_id = $1 AND t.story_id = n.story_id
    WHERE n.kind = 'scene' AND s.world_id = $1 AND s.story_id = n.story_id AND s.scene_number = n.scene_number
    UNION ALL
    SELECT c.name, '' FROM livingworld.characters AS c
    WHERE n.kind = 'character' AND c.world_id = $1 AND c.character_id = n.character_id
) AS text ON true
ORDER BY n.similarity DESC, n.kind, n.story_id, n.scene_number, n.character_id

-- The memories that come first at a viewpoint ($1 to $4: world, story, branch, scene), for character $5, of the kinds $6, by
-- the vector $7 of the embedder $8 (NULL: the world's) and the text $9; weights $10 to $13, number $14. Of
-- more than $15 memories those are compared that importance and recency put first, and the newest of equal ones. None of the
-- kinds $16, only its own ($17), none with less similarity than $18. The words count beside the vectors by the weight $19,
-- among the 1,000 that come first without them: making words of a text takes longer than comparing a vector.
--
-- The path is looked up first, then each memory's vector by its key: cost grows with the path and not with the world. A
-- memory without a vector is compared by its words. What is older than a hundred half-lives counts as that old: 0.5 to the
-- power of more is too small a number for PostgreSQL.
SELECT m.memory_id, m.story_id, m.content, m.character_id, m.kind, m.private, m.importance, m.valence, m.scene_number,
       m.consolidated_into, m.forgotten_at, m.version, m.created_at, m.updated_at,
       best.score, best.similarity, best.dimensions, best.is_cut
FROM (
    SELECT first.memory_id, first.similarity, first.dimensions, first.is_cut,
           first.score + CASE WHEN first.dimensions IS NULL OR $9::text IS NULL OR $19::float8 = 0 THEN 0 ELSE (
               SELECT $19::float8 * ts_rank_cd(to_tsvector('simple', w.content), first.words, 32)
               FROM livingworld.memories AS w WHERE w.world_id = $1 AND w.memory_id = first.memory_id
           ) END AS score
    FROM (
        SELECT seen.memory_id, near.similarity, known.dimensions, $10::float8 * near.similarity + seen.weight AS score,
               seen.is_cut, asked.words
        FROM livingworld.story_place_v1($1::uuid, $2::uuid, $3::integer, $4::integer) AS place
        CROSS JOIN LATERAL livingworld.referred_character_v1($1, $5) AS who
        CROSS JOIN LATERAL (
            SELECT coalesce($8::text, (
                SELECT e.embedder FROM livingworld.memory_embedders AS e WHERE e.world_id = $1
            )) AS embedder, replace(plainto_tsquery('simple', $9::text)::text, '&', '|')::tsquery AS words OFFSET 0
        ) AS asked
        CROSS JOIN LATERAL livingworld.recall_candidates_v1(
            $1, $2, place.timeline_number, place.position, who.character_id, $6::text[], asked.embedder, $7::real[],
            $11::float8, $12::float8, $13::float8, $14::integer, $15::integer, $16::text[], $17::boolean
        ) AS seen
        LEFT JOIN LATERAL (
            SELECT v.vector, cardinality(v.vector) AS dimensions FROM livingworld.memory_vectors AS v
            WHERE v.world_id = $1 AND v.memory_id = seen.memory_id AND v.embedder = asked.embedder
                AND $7::real[] IS NOT NULL OFFSET 0
        ) AS known ON true
        CROSS JOIN LATERAL (
            SELECT coalesce(livingworld.vector_similarity(known.vector, $7::real[]), (
                SELECT ts_rank_cd(to_tsvector('simple', w.content), asked.words, 32) FROM livingworld.memories AS w
                WHERE w.world_id = $1 AND w.memory_id = seen.memory_id AND known.vector IS NULL AND $9::text IS NOT NULL
            ), 0) AS similarity OFFSET 0
        ) AS near
        WHERE $18::float8 IS NULL OR near.similarity >= $18::float8
        ORDER BY score DESC, seen.memory_id LIMIT greatest($14::integer, 1000)
    ) AS first
    ORDER BY score DESC, first.memory_id LIMIT $14::integer
) AS best
CROSS JOIN LATERAL (
    SELECT * FROM livingworld.memories AS m WHERE m.world_id = $1 AND m.memory_id = best.memory_id OFFSET 0
) AS m
ORDER BY best.score DESC, best.memory_id

-- One page of what is found in world $1 by the words $2, in story $3 (NULL: all, and lore), of the kinds $4, after rank $5 and
-- place $6 (NULL: from the first), $7 hits, marked by $8 (options of ts_headline). The texts of the page only are read again.
WITH asked AS (
    SELECT websearch_to_tsquery('simple', $2::text) AS words
),
hits AS (
    SELECT 'scene' AS kind, s.story_id, s.scene_number, NULL::uuid AS id,
           ts_rank_cd(to_tsvector('simple', left(s.content, 100000)), asked.words)::double precision AS rank
    FROM livingworld.scenes AS s CROSS JOIN asked
    WHERE s.world_id = $1::uuid AND 'scene' = ANY ($4::text[]) AND ($3::uuid IS NULL OR s.story_id = $3)
        AND to_tsvector('simple', left(s.content, 100000)) @@ asked.words
    UNION ALL
    SELECT 'memory', m.story_id, m.scene_number, m.memory_id,
           ts_rank_cd(to_tsvector('simple', m.content), asked.words)::double precision
    FROM livingworld.memories AS m CROSS JOIN asked
    WHERE m.world_id = $1::uuid AND 'memory' = ANY ($4::text[]) AND ($3::uuid IS NULL OR m.story_id = $3)
        AND to_tsvector('simple', m.content) @@ asked.words
        AND NOT m.private AND m.forgotten_at IS NULL AND m.shelved_in IS NULL
    UNION ALL
    SELECT 'lore', NULL, NULL, l.lore_id, ts_rank_cd(to_tsvector('simple', l.content), asked.words)::double precision
    FROM livingworld.lore_entries AS l CROSS JOIN asked
    WHERE l.world_id = $1::uuid AND 'lore' = ANY ($4::text[]) AND $3::uuid IS NULL
        AND to_tsvector('simple', l.content) @@ asked.words AND l.enabled AND l.removed_at IS NULL
),
page AS (
    SELECT h.*, h.kind || ' ' || coalesce(h.id::text, h.story_id || ' ' || lpad(h.scene_number::text, 10, '0')) AS place
    FROM hits AS h
)
SELECT p.kind, p.story_id, p.scene_number, p.id, p.rank, p.place, found.title,
       ts_headline('simple', found.content, asked.words, $8::text) AS excerpt
FROM (
    SELECT * FROM page
    WHERE $5::double precision IS NULL OR page.rank < $5 OR (page.rank = $5 AND page.place > $6::text)
    ORDER BY page.rank DESC, page.place LIMIT $7::integer
) AS p
CROSS JOIN asked
CROSS JOIN LATERAL (
    SELECT t.title, left(s.content, 100000) AS content
    FROM livingworld.scenes AS s
    JOIN livingworld.stories AS t ON t.world_id = s.world_id AND t.story_id = s.story_id
    WHERE p.kind = 'scene' AND s.world_id = $1 AND s.story_id = p.story_id AND s.scene_number = p.scene_number
    UNION ALL
    SELECT NULL, m.content FROM livingworld.memories AS m
    WHERE p.kind = 'memory' AND m.world_id = $1 AND m.memory_id = p.id
    UNION ALL
    SELECT l.title, l.content FROM livingworld.lore_entries AS l
    WHERE p.kind = 'lore' AND l.world_id = $1 AND l.lore_id = p.id
) AS found
ORDER BY p.rank DESC, p.place

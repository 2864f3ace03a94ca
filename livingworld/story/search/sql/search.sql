-- One page of what is found in world $1 by the words $2, in story $3 (NULL: all, and lore), of the kinds $4, after rank $5 and
-- place $6 (NULL: from the first), $7 hits, marked by $8 (options of ts_headline). The texts of the page only are read again.
--
-- Of each kind at most $9 texts are looked at: those that have the words, in any order, as the index finds it without reading
-- them. What has them in the order of a phrase and without those that are excluded is decided by the text, which costs more. Nor
-- is what may be shown asked for there: without statistics the planner would take an index of that for the better one.
--
-- A scene is found by the instruction of the turn that wrote it too, as if that stood below its text.
--
-- A scene whose text is not indexed yet is in a queue. Its text is read, and what the index has of it is passed over: that is
-- of an older text. At most $9 such scenes are read, those of the newest stories and the newest of a story first.
WITH asked AS (
    SELECT websearch_to_tsquery('simple', $2::text) AS words
),
indexed AS (
    SELECT CASE WHEN numnode(asked.words) > 0 THEN nullif(querytree(asked.words), 'T') END AS tree FROM asked
),
-- One row, or none where no word must be there.
wanted AS (
    SELECT regexp_replace(indexed.tree, '<(-|\d+)>', '&', 'g')::tsquery AS words FROM indexed WHERE indexed.tree <> ''
),
-- A range of stories, which is looked up in the key whether there is one story or not.
queued AS MATERIALIZED (
    SELECT u.story_id, u.scene_number FROM livingworld.unindexed_scenes AS u
    WHERE u.world_id = $1::uuid AND 'scene' = ANY ($4::text[]) AND EXISTS (SELECT FROM wanted)
        AND u.story_id >= coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')
        AND u.story_id <= coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    ORDER BY u.story_id DESC, u.scene_number DESC LIMIT $9::integer + 1
),
unindexed AS MATERIALIZED (
    SELECT DISTINCT read.story_id, read.scene_number FROM (SELECT * FROM queued LIMIT $9::integer) AS read
),
having_them AS (
    SELECT * FROM (
        SELECT 'scene' AS kind, w.story_id, w.scene_number, NULL::uuid AS id, w.words, NULL::text AS content, true AS is_shown
        FROM livingworld.scene_words AS w
        WHERE w.world_id = $1::uuid AND 'scene' = ANY ($4::text[]) AND ($3::uuid IS NULL OR w.story_id = $3)
            AND w.words @@ (SELECT wanted.words FROM wanted)
            AND NOT EXISTS (
                SELECT FROM livingworld.unindexed_scenes AS u
                WHERE u.world_id = $1 AND u.story_id = w.story_id AND u.scene_number = w.scene_number OFFSET 0
            )
        LIMIT $9::integer
    ) AS scene
    UNION ALL
    SELECT * FROM (
        SELECT 'memory', m.story_id, m.scene_number, m.memory_id, NULL::tsvector, m.content,
               NOT m.private AND m.forgotten_at IS NULL AND m.archived_in IS NULL
        FROM livingworld.memories AS m
        WHERE m.world_id = $1::uuid AND 'memory' = ANY ($4::text[]) AND ($3::uuid IS NULL OR m.story_id = $3)
            AND to_tsvector('simple', m.content) @@ (SELECT wanted.words FROM wanted)
        LIMIT $9::integer
    ) AS memory
    UNION ALL
    SELECT * FROM (
        SELECT 'lore', NULL::uuid, NULL::integer, l.lore_id, NULL::tsvector, l.content, l.enabled AND l.removed_at IS NULL
        FROM livingworld.lore_entries AS l
        WHERE l.world_id = $1::uuid AND 'lore' = ANY ($4::text[]) AND $3::uuid IS NULL
            AND to_tsvector('simple', l.content) @@ (SELECT wanted.words FROM wanted)
        LIMIT $9::integer
    ) AS lore
),
looked_at AS (
    SELECT * FROM having_them
    UNION ALL
    SELECT 'scene', s.story_id, s.scene_number, NULL, NULL, s.content, true
    FROM unindexed AS u
    CROSS JOIN LATERAL (
        SELECT s.story_id, s.scene_number,
               left(s.content, 100000) || coalesce(E'\n' || left(turn.instruction, 10000), '') AS content
        FROM livingworld.scenes AS s
        LEFT JOIN LATERAL (
            SELECT t.instruction FROM livingworld.turns AS t
            WHERE t.world_id = $1 AND t.story_id = u.story_id AND t.request_key = s.turn_key
                AND s.turn_key IS NOT NULL OFFSET 0
        ) AS turn ON true
        WHERE s.world_id = $1 AND s.story_id = u.story_id AND s.scene_number = u.scene_number OFFSET 0
    ) AS s
),
state AS (
    SELECT (SELECT count(*) FROM unindexed) AS unindexed,
           (SELECT count(*) > $9::integer FROM queued)
           OR EXISTS (SELECT FROM having_them AS h GROUP BY h.kind HAVING count(*) >= $9::integer) AS is_cut
),
page AS (
    SELECT h.kind, h.story_id, h.scene_number, h.id, read.rank,
           h.kind || ' ' || coalesce(h.id::text, h.story_id || ' ' || lpad(h.scene_number::text, 10, '0')) AS place
    FROM looked_at AS h
    CROSS JOIN asked
    CROSS JOIN LATERAL (SELECT coalesce(h.words, to_tsvector('simple', h.content)) AS words OFFSET 0) AS stored
    CROSS JOIN LATERAL (SELECT ts_rank_cd(stored.words, asked.words)::double precision AS rank) AS read
    WHERE h.is_shown AND stored.words @@ asked.words
),
found AS (
    SELECT p.kind, p.story_id, p.scene_number, p.id, p.rank, p.place, text.title,
           ts_headline('simple', text.content, asked.words, $8::text) AS excerpt
    FROM (
        SELECT * FROM page
        WHERE $5::double precision IS NULL OR page.rank < $5 OR (page.rank = $5 AND page.place > $6::text)
        ORDER BY page.rank DESC, page.place LIMIT $7::integer
    ) AS p
    CROSS JOIN asked
    CROSS JOIN LATERAL (
        SELECT t.title, left(s.content, 100000) || coalesce(E'\n' || left(turn.instruction, 10000), '') AS content
        FROM livingworld.scenes AS s
        JOIN livingworld.stories AS t ON t.world_id = $1::uuid AND t.story_id = s.story_id
        LEFT JOIN LATERAL (
            SELECT t.instruction FROM livingworld.turns AS t
            WHERE t.world_id = $1 AND t.story_id = p.story_id AND t.request_key = s.turn_key
                AND s.turn_key IS NOT NULL OFFSET 0
        ) AS turn ON true
        WHERE p.kind = 'scene' AND s.world_id = $1 AND s.story_id = p.story_id AND s.scene_number = p.scene_number
        UNION ALL
        SELECT NULL, m.content FROM livingworld.memories AS m
        WHERE p.kind = 'memory' AND m.world_id = $1 AND m.memory_id = p.id
        UNION ALL
        SELECT l.title, l.content FROM livingworld.lore_entries AS l
        WHERE p.kind = 'lore' AND l.world_id = $1 AND l.lore_id = p.id
    ) AS text
)
-- One row at least, so that the state is returned also where nothing is found.
SELECT state.is_cut, state.unindexed, found.* FROM state LEFT JOIN found ON true ORDER BY found.rank DESC, found.place

-- Remove the request keys of a person among the next ones of a world: those that hold her name as a whole word, and those with a
-- result of which a text is her name.
--
-- $1 world, $2 and $3 the scope and key after which they begin, $4 the person, $5 a pattern that finds her name in a key, $6 keys
-- to look at. The last place that was looked at (no row: there was none), and how many were removed.
WITH page AS MATERIALIZED (
    SELECT k.scope_id, k.request_key, k.request_key ~ $5::text
           OR jsonb_path_exists(k.result, '$.** ? (@ == $name)', jsonb_build_object('name', $4::text)) AS hers
    FROM livingworld.request_keys k
    WHERE k.world_id = $1::uuid AND k.scope_id >= $2::uuid AND (k.scope_id > $2::uuid OR k.request_key > $3::text)
    ORDER BY k.scope_id, k.request_key LIMIT $6
), removed AS (
    DELETE FROM livingworld.request_keys k
    WHERE k.world_id = $1::uuid
        AND (k.scope_id, k.request_key) IN (SELECT page.scope_id, page.request_key FROM page WHERE page.hers)
    RETURNING k.request_key
)
SELECT last.scope_id, last.request_key, (SELECT count(*) FROM removed) AS removed
FROM (SELECT page.scope_id, page.request_key FROM page ORDER BY page.scope_id DESC, page.request_key DESC LIMIT 1) last

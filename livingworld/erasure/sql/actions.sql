-- Blank the ended actions of a person among the next ones of a world, by the member `player` of their payload.
--
-- $1 world, $2 the action after which they begin, $3 the person, $4 actions to look at. The last action that was looked at (NULL:
-- there was none), those of hers that have not ended, and how many were blanked.
WITH page AS MATERIALIZED (
    SELECT a.action_id, a.ended_at IS NULL AS unfinished, a.payload ->> 'player' = $3::text AS hers FROM livingworld.actions a
    WHERE a.world_id = $1::uuid AND a.action_id > $2::uuid ORDER BY a.action_id LIMIT $4
), blanked AS (
    UPDATE livingworld.actions a SET payload = '{}', result = NULL, errors = '[]', cancel_reason = NULL
    WHERE a.world_id = $1::uuid AND a.ended_at IS NOT NULL
        AND a.action_id = ANY (ARRAY(SELECT page.action_id FROM page WHERE page.hers))
    RETURNING a.action_id
)
SELECT (SELECT page.action_id FROM page ORDER BY page.action_id DESC LIMIT 1) AS last,
       ARRAY(SELECT page.action_id FROM page WHERE page.hers AND page.unfinished ORDER BY page.action_id) AS unfinished,
       (SELECT count(*) FROM blanked) AS blanked

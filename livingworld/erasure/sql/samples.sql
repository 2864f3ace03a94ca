-- Remove the training samples of a person among the next ones of a world, by the member `player` of their metadata.
--
-- $1 world, $2 the sample after which they begin, $3 the person, $4 samples to look at. The last sample that was looked at
-- (NULL: there was none), and how many were removed.
WITH page AS MATERIALIZED (
    SELECT s.sample_id, s.metadata ->> 'player' = $3::text AS hers FROM livingworld.training_samples s
    WHERE s.world_id = $1::uuid AND s.sample_id > $2::uuid ORDER BY s.sample_id LIMIT $4
), removed AS (
    DELETE FROM livingworld.training_samples s
    WHERE s.world_id = $1::uuid AND s.sample_id = ANY (ARRAY(SELECT page.sample_id FROM page WHERE page.hers))
    RETURNING s.sample_id
)
SELECT (SELECT page.sample_id FROM page ORDER BY page.sample_id DESC LIMIT 1) AS last,
       (SELECT count(*) FROM removed) AS removed

-- Remove the oldest events of streams without a follower, and those that are old in the others; return how many.
--
-- $1 world, $2 the age of what is old, $3 most events. A stream that a writer holds is left for the next time; the rows of
-- the others are locked until the statement ends.
WITH streams AS MATERIALIZED (
    SELECT s.stream_id, CASE WHEN s.followed_until < now() THEN now() ELSE now() - $2::interval END AS until
    FROM livingworld.live_streams s
    WHERE s.world_id = $1 AND (
        SELECT e.created_at FROM livingworld.live_events e
        WHERE e.world_id = $1 AND e.stream_id = s.stream_id ORDER BY e.event_number LIMIT 1
    ) < CASE WHEN s.followed_until < now() THEN now() ELSE now() - $2::interval END
    ORDER BY s.stream_id
    LIMIT 100
    FOR NO KEY UPDATE SKIP LOCKED
), old AS MATERIALIZED (
    SELECT streams.stream_id, oldest.event_number, oldest.place FROM streams CROSS JOIN LATERAL (
        SELECT e.event_number, e.created_at, e.ctid AS place FROM livingworld.live_events e
        WHERE e.world_id = $1 AND e.stream_id = streams.stream_id
        ORDER BY e.event_number LIMIT $3
    ) oldest
    WHERE oldest.created_at < streams.until
    LIMIT $3
), forgotten AS (
    UPDATE livingworld.live_streams s SET kept_after = greatest(s.kept_after, gone.event_number)
    FROM (SELECT old.stream_id, max(old.event_number) AS event_number FROM old GROUP BY old.stream_id) gone
    WHERE s.world_id = $1 AND s.stream_id = gone.stream_id
), removed AS (
    DELETE FROM livingworld.live_events e  -- an event is never updated, so its place does not change
    WHERE e.world_id = $1 AND e.ctid = ANY (ARRAY(SELECT old.place FROM old))
    RETURNING e.event_number
)
SELECT count(*) FROM removed

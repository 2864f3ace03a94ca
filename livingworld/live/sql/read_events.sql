-- Read what is new in followed streams of one world: for each its counter, and at most so many events, oldest first.
--
-- $1 world, $2 streams, $3 the number after which each is read, $4 most events of each. A stream without anything new is
-- one row without an event; one that is gone has no row.
SELECT given.stream_id, stream.last_number, stream.kept_after, page.event_number, page.kind, page.details, page.created_at
FROM unnest($2::uuid[], $3::bigint[]) AS given (stream_id, after)
CROSS JOIN LATERAL (
    SELECT s.last_number, s.kept_after FROM livingworld.live_streams s
    WHERE s.world_id = $1 AND s.stream_id = given.stream_id
) stream
LEFT JOIN LATERAL (
    SELECT e.event_number, e.kind, e.details::text AS details, e.created_at FROM livingworld.live_events e
    WHERE e.world_id = $1 AND e.stream_id = given.stream_id
        AND e.event_number > greatest(given.after, stream.kept_after)
    ORDER BY e.event_number
    LIMIT $4
) page ON true
ORDER BY given.stream_id, page.event_number

-- Where the events of a person are among the next ones of a world, by the member `player` of their details.
--
-- $1 world, $2 and $3 the stream and number after which they begin, $4 the person, $5 events to look at. The last place that was
-- looked at (NULL: there was none), and the stream and number of each of hers.
WITH page AS MATERIALIZED (
    SELECT e.stream_id, e.event_number, e.details ->> 'player' = $4::text AS hers FROM livingworld.live_events e
    WHERE e.world_id = $1::uuid AND e.stream_id >= $2::uuid
        AND (e.stream_id > $2::uuid OR e.event_number > $3::bigint)
    ORDER BY e.stream_id, e.event_number LIMIT $5
)
SELECT last.stream_id, last.event_number,
       ARRAY(SELECT page.stream_id FROM page WHERE page.hers ORDER BY page.stream_id, page.event_number) AS streams,
       ARRAY(SELECT page.event_number FROM page WHERE page.hers ORDER BY page.stream_id, page.event_number) AS numbers
FROM (SELECT page.stream_id, page.event_number FROM page ORDER BY page.stream_id DESC, page.event_number DESC LIMIT 1) last

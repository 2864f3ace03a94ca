-- Lengthen the follows that are unbroken and that nobody holds, and return where their streams stand.
--
-- $1 world, $2 streams, $3 a follow's length from now, $4 the margin before its end at which it counts as over. A stream
-- whose row is held by a writer has no row here: one writer that takes long does not hold up the follows of the others.
WITH free AS MATERIALIZED (
    SELECT s.stream_id FROM livingworld.live_streams s
    WHERE s.world_id = $1 AND s.stream_id = ANY ($2::uuid[]) AND s.followed_until > now() + $4::interval
    ORDER BY s.stream_id
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE livingworld.live_streams s SET followed_until = greatest(s.followed_until, now() + $3::interval)
FROM free
WHERE s.world_id = $1 AND s.stream_id = free.stream_id
RETURNING s.stream_id, s.last_number, s.kept_after

-- Publish events: number and store what is followed, in the order given, and return the streams that were.
--
-- It is the last statement of its transaction: the rows of the streams are locked from here to the commit, in sorted
-- order, so the order of numbers is the order of commits. The look below sees every follower that began before: a new
-- follower of a story or a session locks its row, which the library's writers have locked already, and takes an advisory
-- lock of the stream exclusively, which is shared by those who hold no such row: the writers of the world, and the
-- application's own events.
CREATE FUNCTION livingworld.publish_events_v1(
    in_world_id uuid,
    in_stream_ids uuid[],           -- of each event: id of a story, a session or the world
    in_kinds text[],
    in_details text[],              -- a JSON object each
    in_unlocked_ids uuid[] DEFAULT '{}'  -- streams of stories and sessions whose rows this transaction does not hold
) RETURNS SETOF uuid
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    stream record;
    number_before bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'publish_events_v1 needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF in_world_id = ANY (in_stream_ids) THEN
        -- The sub-select reads no row: Citus runs this on the node that holds the world, whose locks reach every caller.
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('livingworld live ' || in_world_id, 0))
        FROM (
            SELECT count(*) FROM livingworld.request_keys k
            WHERE k.world_id = in_world_id AND k.scope_id = in_world_id AND k.request_key = ''
        ) place;
    END IF;
    IF in_unlocked_ids <> '{}' THEN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('livingworld live ' || g.stream_id, 0))
        FROM (SELECT g.stream_id FROM unnest(in_unlocked_ids) AS g (stream_id) ORDER BY g.stream_id OFFSET 0) g
        CROSS JOIN (
            SELECT count(*) FROM livingworld.request_keys k
            WHERE k.world_id = in_world_id AND k.scope_id = in_world_id AND k.request_key = ''
        ) place
        WHERE g.stream_id <> in_world_id;
    END IF;
    FOR stream IN
        SELECT g.stream_id, count(*) AS events FROM unnest(in_stream_ids) AS g (stream_id)
        GROUP BY g.stream_id ORDER BY g.stream_id
    LOOP
        -- The update is the lock; one by one in their order, see append_scenes_v1.
        UPDATE livingworld.live_streams s SET last_number = s.last_number + stream.events
        WHERE s.world_id = in_world_id AND s.stream_id = stream.stream_id AND s.followed_until > now()
        RETURNING s.last_number - stream.events INTO number_before;
        CONTINUE WHEN NOT FOUND;
        INSERT INTO livingworld.live_events (world_id, stream_id, event_number, kind, details)
        SELECT in_world_id, stream.stream_id, number_before + row_number() OVER (ORDER BY g.ordinal), g.kind,
               g.details::jsonb
        FROM unnest(in_stream_ids, in_kinds, in_details) WITH ORDINALITY AS g (stream_id, kind, details, ordinal)
        WHERE g.stream_id = stream.stream_id;
        RETURN NEXT stream.stream_id;
    END LOOP;
END
$function$

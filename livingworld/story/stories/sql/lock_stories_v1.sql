-- Lock stories one after the other in the order of their ids, and return those that are locked: a story that does not exist
-- is not, and without in_wait one that another transaction has is not either. NULL: none is.
--
-- What decides about a story decides after this call, in statements of its own: at READ COMMITTED each of them sees a fresh
-- snapshot, and so what is true under the lock. One statement that did both would judge the story as it was before the
-- wait. Under any other isolation level that would happen even here, so the function refuses to run.
CREATE FUNCTION livingworld.lock_stories_v1(
    in_world_id uuid,
    in_wait boolean,
    in_story_ids uuid[]
) RETURNS uuid[]
LANGUAGE plpgsql
AS $function$
DECLARE
    locked uuid[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'livingworld needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    -- Each by its key: before PostgreSQL 17 ANY and ORDER BY of one index read all stories of the world.
    IF in_wait THEN
        SELECT array_agg(held.story_id) INTO locked
        FROM (SELECT DISTINCT g.story_id FROM unnest(in_story_ids) AS g (story_id) ORDER BY g.story_id OFFSET 0) given
        CROSS JOIN LATERAL (
            SELECT s.story_id FROM livingworld.stories s
            WHERE s.world_id = in_world_id AND s.story_id = given.story_id FOR NO KEY UPDATE
        ) held;
    ELSE
        SELECT array_agg(held.story_id) INTO locked
        FROM (SELECT DISTINCT g.story_id FROM unnest(in_story_ids) AS g (story_id) ORDER BY g.story_id OFFSET 0) given
        CROSS JOIN LATERAL (
            SELECT s.story_id FROM livingworld.stories s
            WHERE s.world_id = in_world_id AND s.story_id = given.story_id FOR NO KEY UPDATE SKIP LOCKED
        ) held;
    END IF;
    RETURN locked;
END
$function$

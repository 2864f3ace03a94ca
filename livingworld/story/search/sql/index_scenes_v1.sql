-- Index the words of scenes that are still in the queue, with those of the instructions by which they were written. No writer of a scene waits for this: it locks nothing but rows of
-- the queue, passes those that another session has, and a purge waits for one batch at most.
--
-- A row of the queue is seen together with the text of its version or a later one. When the text changes meanwhile, the row
-- of the newer version stays in the queue, and words of an older version never take the place of newer ones.
CREATE FUNCTION livingworld.index_scenes_v1(
    in_world_id uuid,
    in_limit integer,
    OUT texts integer,              -- rows of the queue that are done
    OUT waited interval             -- how long the first of them had been there; NULL: none was there
)
LANGUAGE plpgsql
AS $function$
BEGIN
    WITH due AS MATERIALIZED (
        SELECT u.story_id, u.scene_number, u.version, u.queued_at FROM livingworld.unindexed_scenes u
        WHERE u.world_id = in_world_id ORDER BY u.story_id, u.scene_number, u.version LIMIT in_limit
        FOR UPDATE SKIP LOCKED
    ),
    -- In one order, so that two sessions that have rows of the same scenes do not wait for each other.
    words AS MATERIALIZED (
        SELECT DISTINCT ON (due.story_id, due.scene_number) due.story_id, due.scene_number, scene.version,
               to_tsvector('simple', left(scene.content, 100000) || coalesce(E'\n' || left(turn.instruction, 10000), '')) AS words
        FROM due
        CROSS JOIN LATERAL (
            SELECT s.version, s.content, s.turn_key FROM livingworld.scenes s
            WHERE s.world_id = in_world_id AND s.story_id = due.story_id AND s.scene_number = due.scene_number OFFSET 0
        ) scene
        LEFT JOIN LATERAL (
            SELECT t.instruction FROM livingworld.turns t
            WHERE t.world_id = in_world_id AND t.story_id = due.story_id AND t.request_key = scene.turn_key
                AND scene.turn_key IS NOT NULL OFFSET 0
        ) turn ON true
        ORDER BY due.story_id, due.scene_number
    ),
    stored AS (
        INSERT INTO livingworld.scene_words AS w (world_id, story_id, scene_number, version, words)
        SELECT in_world_id, t.story_id, t.scene_number, t.version, t.words FROM words t
        ON CONFLICT ON CONSTRAINT pk_scene_words DO UPDATE SET version = excluded.version, words = excluded.words
        WHERE w.version < excluded.version
    ),
    done AS (
        DELETE FROM livingworld.unindexed_scenes u USING due
        WHERE u.world_id = in_world_id AND u.story_id = due.story_id AND u.scene_number = due.scene_number
            AND u.version = due.version
    )
    SELECT count(*), clock_timestamp() - min(due.queued_at) INTO texts, waited FROM due;
END
$function$

-- The memories that a recall compares at a place, each with the part of its score that needs no vector.
--
-- Where there is an index of the world's vectors (livingworld.nearest_memories): the newest 300, and of the others those
-- that are near to the vector. Where that finds too few that may be recalled here, and without an index: those that come
-- first by the other part of the score, of all that may be recalled, which costs time for each of them. A story with fewer
-- than that many memories needs none of it.
CREATE FUNCTION livingworld.recall_candidates_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_timeline integer,
    in_position integer,
    in_character_id uuid,
    in_kinds text[],
    in_embedder text,
    in_vector real[],               -- NULL: only words are compared
    in_importance double precision, -- weights
    in_recency double precision,
    in_half_life double precision,
    in_count integer,               -- how many are to come back
    in_candidates integer,          -- how many may be compared without an index
    in_excluded_kinds text[],
    in_own boolean                  -- only what this character remembers
) RETURNS TABLE (memory_id uuid, weight double precision, is_cut boolean)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
AS $function$
#variable_conflict use_column
DECLARE
    newest CONSTANT integer := 300;
    nearest CONSTANT integer := greatest(300, 10 * in_count);
    newest_ids uuid[];
    near_ids uuid[];
    has_more boolean;
BEGIN
    IF in_vector IS NOT NULL AND in_candidates > newest THEN
        newest_ids := ARRAY(
            SELECT v.memory_id FROM livingworld.visible_memories_v1(
                in_world_id, in_story_id, in_timeline, in_position, in_character_id, in_kinds, 0, newest,
                in_excluded_kinds, in_own
            ) v
        );
        has_more := cardinality(newest_ids) = newest;
        IF has_more THEN
            near_ids := ARRAY(
                SELECT v.memory_id FROM livingworld.visible_among_v1(
                    in_world_id, in_story_id, in_timeline, in_position, in_character_id, in_kinds,
                    ARRAY(SELECT livingworld.nearest_memories(in_world_id, in_embedder, in_vector, nearest)),
                    in_excluded_kinds, in_own
                ) v
            );
        END IF;
        IF NOT has_more OR cardinality(near_ids) >= nearest / 10 THEN
            RETURN QUERY
                SELECT m.memory_id, in_importance * m.importance
                       + in_recency * 0.5 ^ least((in_position - m.position) / in_half_life, 100), has_more
                FROM (SELECT unnest(newest_ids) UNION SELECT unnest(near_ids)) compared (memory_id)
                CROSS JOIN LATERAL (
                    SELECT * FROM livingworld.memories m
                    WHERE m.world_id = in_world_id AND m.memory_id = compared.memory_id OFFSET 0
                ) m;
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
        SELECT v.memory_id, in_importance * v.importance
               + in_recency * 0.5 ^ least((in_position - v.position) / in_half_life, 100) AS weight,
               count(*) OVER () > in_candidates
        FROM livingworld.visible_memories_v1(
            in_world_id, in_story_id, in_timeline, in_position, in_character_id, in_kinds, 0, NULL, in_excluded_kinds,
            in_own
        ) v
        ORDER BY weight DESC, v.position DESC, v.memory_id DESC LIMIT in_candidates;
END
$function$

-- Which of these memories may be recalled at a place, by the rules of visible_memories_v1.
CREATE FUNCTION livingworld.visible_among_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_timeline integer,
    in_position integer,
    in_character_id uuid,
    in_kinds text[],
    in_memory_ids uuid[],
    in_excluded_kinds text[] DEFAULT NULL,
    in_own boolean DEFAULT false
) RETURNS TABLE (memory_id uuid)
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
BEGIN
    RETURN QUERY
        WITH path AS MATERIALIZED (
            SELECT * FROM livingworld.path_ranges_v1(in_world_id, in_story_id, in_timeline, in_position)
        )
        SELECT m.memory_id
        FROM unnest(in_memory_ids) given (memory_id)
        CROSS JOIN LATERAL (
            SELECT * FROM livingworld.memories m
            WHERE m.world_id = in_world_id AND m.memory_id = given.memory_id OFFSET 0
        ) m
        CROSS JOIN path p
        WHERE m.story_id = in_story_id AND m.timeline_number = p.timeline_number
            AND m.position BETWEEN p.from_position AND p.to_position
            AND m.archived_in IS NULL AND m.forgotten_at IS NULL
            AND (NOT m.private OR m.character_id = in_character_id)
            AND (in_kinds IS NULL OR m.kind = ANY (in_kinds))
            AND (in_excluded_kinds IS NULL OR m.kind <> ALL (in_excluded_kinds))
            AND (NOT in_own OR m.character_id = in_character_id)
            AND (m.consolidated_into IS NULL OR NOT EXISTS (
                SELECT FROM livingworld.memories s
                CROSS JOIN path q
                WHERE s.world_id = in_world_id AND s.memory_id = m.consolidated_into
                    AND s.archived_in IS NULL AND s.forgotten_at IS NULL
                    AND (NOT s.private OR s.character_id = in_character_id)
                    AND s.timeline_number = q.timeline_number
                    AND s.position BETWEEN q.from_position AND q.to_position
            ));
END
$function$

-- What may be recalled at a place: the memories on the path that are not forgotten, that this character may know, and that no
-- visible summary stands for; from the newest back, until there are enough.
CREATE FUNCTION livingworld.visible_memories_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_timeline integer,
    in_position integer,
    in_character_id uuid,           -- who recalls; NULL: nothing private is visible
    in_kinds text[],                -- NULL: all
    in_from_position integer,       -- none that were remembered before it
    in_limit integer,               -- the newest so many; NULL: all
    in_excluded_kinds text[] DEFAULT NULL,
    in_own boolean DEFAULT false    -- only what this character remembers
) RETURNS TABLE (memory_id uuid, "position" integer, importance double precision)
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
        -- Looked up once, and not for each memory that has a summary.
        WITH path AS MATERIALIZED (
            SELECT * FROM livingworld.path_ranges_v1(in_world_id, in_story_id, in_timeline, in_position)
        )
        SELECT m.memory_id, m.position, m.importance
        FROM (
            SELECT * FROM path p
            WHERE p.to_position >= in_from_position
            ORDER BY p.from_position DESC OFFSET 0
        ) p
        CROSS JOIN LATERAL (
            SELECT m.memory_id, m.position, m.importance FROM (
                SELECT * FROM livingworld.memories m
                WHERE m.world_id = in_world_id AND m.timeline_number = p.timeline_number AND m.story_id = in_story_id
                    AND m.position BETWEEN greatest(p.from_position, in_from_position) AND p.to_position
                ORDER BY m.position DESC, m.memory_id DESC OFFSET 0
            ) m
            WHERE m.archived_in IS NULL AND m.forgotten_at IS NULL
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
                ))
            ORDER BY m.position DESC, m.memory_id DESC LIMIT in_limit
        ) m
        ORDER BY p.from_position DESC, m.position DESC, m.memory_id DESC LIMIT in_limit;
END
$function$

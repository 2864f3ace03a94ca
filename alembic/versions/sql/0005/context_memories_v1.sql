-- What the context of a turn has of memories: those of its last scenes that are not private, and the last summaries from
-- before them that still stand for what they were made of. Each is an array of values, in the order of context_rows.py.
CREATE FUNCTION livingworld.context_memories_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_timeline integer,
    in_position integer,
    in_first_position integer,      -- of the last scenes
    in_with_summaries boolean       -- whether the story has any
) RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
AS $function$
DECLARE
    summaries uuid[];
    memories json;
BEGIN
    IF in_with_summaries THEN
        -- At most so many, however long the story is. One that a later summary stands for is left out below.
        SELECT ARRAY(
            SELECT m.memory_id
            FROM livingworld.path_ranges_v1(in_world_id, in_story_id, in_timeline, in_position) p
            CROSS JOIN LATERAL (
                SELECT m.memory_id, m.position FROM livingworld.memories m
                WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.is_summary
                    AND m.timeline_number = p.timeline_number
                    AND m.position BETWEEN p.from_position AND least(p.to_position, in_first_position - 1)
                ORDER BY m.position DESC, m.memory_id DESC LIMIT 100
            ) m
            ORDER BY m.position DESC, m.memory_id DESC LIMIT 100
        ) INTO summaries;
    END IF;
    SELECT json_agg(
        json_build_array(m.memory_id, m.story_id, m.content, m.character_id, m.kind, m.private, m.importance,
                         m.valence, m.scene_number, m.consolidated_into, m.forgotten_at, m.version, m.created_at,
                         m.updated_at)
        ORDER BY m.position, m.memory_id
    ) INTO memories
    FROM (
        SELECT v.memory_id FROM livingworld.visible_memories_v1(
            in_world_id, in_story_id, in_timeline, in_position, NULL, NULL, in_first_position, NULL
        ) v
        UNION ALL
        SELECT v.memory_id FROM livingworld.visible_among_v1(
            in_world_id, in_story_id, in_timeline, in_position, NULL, NULL, summaries
        ) v
    ) seen
    CROSS JOIN LATERAL (
        SELECT * FROM livingworld.memories m
        WHERE m.world_id = in_world_id AND m.memory_id = seen.memory_id OFFSET 0
    ) m;
    RETURN memories;
END
$function$

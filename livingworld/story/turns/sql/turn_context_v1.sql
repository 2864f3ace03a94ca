-- The context of one turn, as turn_contexts_v1 has it: the same text, by statements that read one row or one part. Where
-- the last scenes stand on several timelines, turn_contexts_v1 makes it.
CREATE FUNCTION livingworld.turn_context_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_branch_number integer,
    in_base_scene integer,          -- NULL: before the first
    in_recent integer
) RETURNS text
LANGUAGE plpgsql STABLE
AS $function$
DECLARE
    place record;
    recent json;
    characters json;
    relationships json;
    facts json;
    memories json;
BEGIN
    SELECT s.story, b.branch, a.timeline, a."position", a.first,
           a.timeline = 1 OR EXISTS (
               SELECT FROM livingworld.timelines t
               WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.timeline_number = a.timeline
                   AND t.fork_position < a.first OFFSET 0
           ) AS straight,
           EXISTS (
               SELECT FROM livingworld.scene_cast m
               WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.scene_number = in_base_scene OFFSET 0
           ) AS with_cast,
           EXISTS (
               SELECT FROM livingworld.fact_names n WHERE n.world_id = in_world_id AND n.story_id = in_story_id OFFSET 0
           ) AS with_facts,
           EXISTS (
               SELECT FROM livingworld.memories m
               WHERE m.world_id = in_world_id AND m.timeline_number = a.timeline AND m.story_id = in_story_id
                   AND m.position BETWEEN a.first AND a."position" OFFSET 0
           ) AS remembering,
           a."position" >= in_recent AND EXISTS (
               SELECT FROM livingworld.memories m
               WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.is_summary OFFSET 0
           ) AS with_summaries
    INTO place
    FROM (
        SELECT json_build_array(
            s.story_id, s.title, s.premise, s.system_prompt, s.status, s.last_scene_number, s.current_branch, s.settings,
            s.version, s.created_at, s.updated_at, s.archived_at, s.key, s.last_scene_at
        ) AS story
        FROM livingworld.stories s WHERE s.world_id = in_world_id AND s.story_id = in_story_id OFFSET 0
    ) s
    CROSS JOIN LATERAL (
        SELECT json_build_array(b.branch_number, b.name, b.head_scene_number, b.head_position) AS branch
        FROM livingworld.branches b
        WHERE b.world_id = in_world_id AND b.story_id = in_story_id AND b.branch_number = in_branch_number OFFSET 0
    ) b
    LEFT JOIN LATERAL (
        SELECT c.timeline_number, c.position FROM livingworld.scenes c
        WHERE c.world_id = in_world_id AND c.story_id = in_story_id AND c.scene_number = in_base_scene OFFSET 0
    ) c ON true
    CROSS JOIN LATERAL (
        SELECT coalesce(c.timeline_number, 1) AS timeline, coalesce(c.position, 0) AS "position",
               coalesce(c.position, 0) - in_recent + 1 AS first OFFSET 0
    ) a;
    IF place.straight IS NOT true THEN
        RETURN (livingworld.turn_contexts_v1(
            in_world_id, ARRAY[in_story_id], ARRAY[in_branch_number], ARRAY[in_base_scene], ARRAY[in_recent]
        ))[1];
    END IF;

    SELECT json_agg(
        json_build_array(
            s.scene_number, s.parent_scene_number, s.position, s.content, s.chosen_choice, s.location, s.story_time,
            s.metadata, s.version, s.created_at, s.updated_at, s.choices, s.turn_key,
            (
                SELECT json_agg(json_build_array(m.character_id, c.name, m.role, m.importance) ORDER BY m.character_id)
                FROM livingworld.scene_cast m
                CROSS JOIN LATERAL (
                    SELECT c.name FROM livingworld.characters c
                    WHERE c.world_id = in_world_id AND c.character_id = m.character_id OFFSET 0
                ) c
                WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.scene_number = s.scene_number
            )
        )
    ) INTO recent
    FROM (
        -- As turn_contexts_v1 reads them.
        SELECT * FROM livingworld.scenes s
        WHERE s.world_id = in_world_id AND s.position > 0
            AND (s.timeline_number, s.story_id, s.position) >= (place.timeline, in_story_id, place.first)
            AND (s.timeline_number, s.story_id, s.position) <= (place.timeline, in_story_id, place."position")
        ORDER BY s.timeline_number, s.story_id, s.position
        LIMIT least(in_recent, place."position")
    ) s;
    IF place.with_cast THEN
        SELECT json_agg(
            json_build_array(
                c.character_id, c.name, c.card, c.version, c.created_at, c.updated_at, c.key,
                (
                    SELECT json_agg(n.name ORDER BY n.created_at, n.name_key) FROM livingworld.character_names n
                    WHERE n.world_id = in_world_id AND n.character_id = c.character_id
                )
            ) ORDER BY c.character_id
        ) INTO characters
        FROM livingworld.scene_cast m
        CROSS JOIN LATERAL (
            SELECT * FROM livingworld.characters c
            WHERE c.world_id = in_world_id AND c.character_id = m.character_id OFFSET 0
        ) c
        WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.scene_number = in_base_scene;
        IF json_array_length(characters) > 1 THEN
            relationships := livingworld.context_relationships_v1(
                in_world_id, in_story_id, in_base_scene, place.timeline, place."position"
            );
        END IF;
    END IF;
    IF place.with_facts THEN
        SELECT json_agg(
            json_build_array(f.subject, f.name, f.attribute, f.value, f.version, f.scene_number, f.created_at)
        ) INTO facts
        FROM livingworld.visible_facts_v1(in_world_id, in_story_id, place.timeline, place."position", NULL, NULL) f;
    END IF;
    IF place.remembering OR place.with_summaries THEN
        memories := livingworld.context_memories_v1(
            in_world_id, in_story_id, place.timeline, place."position", place.first, place.with_summaries
        );
    END IF;
    RETURN json_build_object(
        'story', place.story, 'branch', place.branch, 'recent', recent, 'cast', characters,
        'facts', facts, 'relationships', relationships, 'memories', memories
    )::text;
END
$function$

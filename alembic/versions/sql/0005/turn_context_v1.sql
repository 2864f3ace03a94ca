-- What a prompt needs of one turn, as a JSON object: the story, the branch as it stands, the last scenes of the path that
-- ends with the base scene, oldest first, and who appears in the last of them; what is true there, what those in its cast
-- feel toward each other, what was remembered in those scenes and is not private, and the last summaries from before them
-- that still stand for what they were made of. Each row is an array of values, in the order of context_rows.py. A part without rows is null; of a part that
-- the story has nothing of only the look for it runs.
CREATE FUNCTION livingworld.turn_context_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_branch_number integer,
    in_base_scene integer,          -- NULL: before the first
    in_recent integer
) RETURNS text
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
    the_story json;
    the_branch json;
    recent json;
    cast_members json;
    facts json;
    relationships json;
    memories json;
    at_timeline integer := 1;
    at_position integer := 0;
    first_position integer;
    summaries uuid[];
    -- The ranges of the path that have the last scenes; see path_ranges_v1.
    timelines integer[];
    froms integer[];
    tos integer[];
BEGIN
    SELECT json_build_array(
        s.story_id, s.title, s.premise, s.system_prompt, s.status, s.last_scene_number, s.current_branch, s.settings,
        s.version, s.created_at, s.updated_at, s.archived_at, s.key,
        s.last_scene_at
    ) INTO the_story
    FROM livingworld.stories s WHERE s.world_id = in_world_id AND s.story_id = in_story_id;
    SELECT json_build_array(b.branch_number, b.name, b.head_scene_number, b.head_position) INTO the_branch
    FROM livingworld.branches b
    WHERE b.world_id = in_world_id AND b.story_id = in_story_id AND b.branch_number = in_branch_number;
    IF in_base_scene IS NOT NULL THEN
        SELECT s.timeline_number, s.position INTO at_timeline, at_position FROM livingworld.scenes s
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = in_base_scene;
    END IF;
    first_position := at_position - in_recent + 1;
    SELECT ARRAY[at_timeline], ARRAY[first_position], ARRAY[at_position] INTO timelines, froms, tos
    FROM livingworld.timelines t
    WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.timeline_number = at_timeline
        AND t.fork_position < first_position;
    IF NOT FOUND THEN
        SELECT array_agg(p.timeline_number), array_agg(greatest(p.from_position, first_position)),
               array_agg(p.to_position)
        INTO timelines, froms, tos
        FROM livingworld.path_ranges_v1(in_world_id, in_story_id, at_timeline, at_position) p
        WHERE p.to_position >= first_position;
    END IF;

    IF at_position > 0 THEN
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
            ) ORDER BY s.position
        ) INTO recent
        FROM unnest(timelines, froms, tos) AS range (timeline_number, from_position, to_position)
        CROSS JOIN LATERAL (
            -- Before PostgreSQL 18 such a comparison does not end the scan, the number of scenes does: no position is
            -- free. It names the one index that has them in this order, see the decision on indexes.
            SELECT * FROM livingworld.scenes s
            WHERE s.world_id = in_world_id AND s.position > 0
                AND (s.timeline_number, s.story_id, s.position)
                    >= (range.timeline_number, in_story_id, range.from_position)
                AND (s.timeline_number, s.story_id, s.position)
                    <= (range.timeline_number, in_story_id, range.to_position)
            ORDER BY s.timeline_number, s.story_id, s.position
            LIMIT greatest(range.to_position - greatest(range.from_position, 1) + 1, 0)
        ) s;
        SELECT json_agg(
            json_build_array(
                c.character_id, c.name, c.card, c.version, c.created_at, c.updated_at, c.key,
                (
                    SELECT json_agg(n.name ORDER BY n.created_at, n.name_key) FROM livingworld.character_names n
                    WHERE n.world_id = in_world_id AND n.character_id = c.character_id
                )
            ) ORDER BY c.character_id
        ) INTO cast_members
        FROM livingworld.scene_cast m
        CROSS JOIN LATERAL (
            SELECT * FROM livingworld.characters c
            WHERE c.world_id = in_world_id AND c.character_id = m.character_id OFFSET 0
        ) c
        WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.scene_number = in_base_scene;
    END IF;
    IF json_array_length(cast_members) > 1 THEN
        SELECT json_agg(
            json_build_array(c.source_id, c.target_id, c.sentiment, c.trust, c.familiarity, c.kind, c.notes, c.changes, c.version,
                             c.scene_number, c.created_at)
            ORDER BY c.source_id, c.target_id
        ) INTO relationships
        FROM livingworld.scene_cast m
        CROSS JOIN LATERAL (
            SELECT r.source_id, r.target_id FROM livingworld.relationships r
            WHERE r.world_id = in_world_id AND r.story_id = in_story_id AND r.source_id = m.character_id OFFSET 0
        ) r
        CROSS JOIN LATERAL (
            SELECT FROM livingworld.scene_cast n
            WHERE n.world_id = in_world_id AND n.story_id = in_story_id AND n.scene_number = in_base_scene
                AND n.character_id = r.target_id OFFSET 0
        ) n
        CROSS JOIN LATERAL livingworld.last_relationship_v1(
            in_world_id, in_story_id, r.source_id, r.target_id, at_timeline, at_position, NULL
        ) c
        WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.scene_number = in_base_scene;
    END IF;
    PERFORM FROM livingworld.fact_names n WHERE n.world_id = in_world_id AND n.story_id = in_story_id LIMIT 1;
    IF FOUND THEN
        SELECT json_agg(
            json_build_array(f.subject, f.name, f.attribute, f.value, f.version, f.scene_number, f.created_at)
        ) INTO facts
        FROM livingworld.visible_facts_v1(in_world_id, in_story_id, at_timeline, at_position, NULL, NULL) f;
    END IF;
    IF first_position > 0 THEN
        PERFORM FROM livingworld.memories m
        WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.is_summary LIMIT 1;
        IF FOUND THEN
            -- At most so many, however long the story is. One that a later summary stands for is left out below.
            SELECT ARRAY(
                SELECT m.memory_id
                FROM livingworld.path_ranges_v1(in_world_id, in_story_id, at_timeline, at_position) p
                CROSS JOIN LATERAL (
                    SELECT m.memory_id, m.position FROM livingworld.memories m
                    WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.is_summary
                        AND m.timeline_number = p.timeline_number
                        AND m.position BETWEEN p.from_position AND least(p.to_position, first_position - 1)
                    ORDER BY m.position DESC, m.memory_id DESC LIMIT 100
                ) m
                ORDER BY m.position DESC, m.memory_id DESC LIMIT 100
            ) INTO summaries;
        END IF;
    END IF;
    PERFORM FROM unnest(timelines, froms, tos) AS range (timeline_number, from_position, to_position)
    CROSS JOIN LATERAL (
        SELECT FROM livingworld.memories m
        WHERE m.world_id = in_world_id AND m.timeline_number = range.timeline_number AND m.story_id = in_story_id
            AND m.position BETWEEN range.from_position AND range.to_position LIMIT 1
    ) m
    LIMIT 1;
    IF FOUND OR cardinality(summaries) > 0 THEN
        SELECT json_agg(
            json_build_array(m.memory_id, m.story_id, m.content, m.character_id, m.kind, m.private, m.importance,
                             m.valence, m.scene_number, m.consolidated_into, m.forgotten_at, m.version, m.created_at,
                             m.updated_at)
            ORDER BY m.position, m.memory_id
        ) INTO memories
        FROM (
            SELECT v.memory_id FROM livingworld.visible_memories_v1(
                in_world_id, in_story_id, at_timeline, at_position, NULL, NULL, first_position, NULL
            ) v
            UNION ALL
            SELECT v.memory_id FROM livingworld.visible_among_v1(
                in_world_id, in_story_id, at_timeline, at_position, NULL, NULL, summaries
            ) v
        ) seen
        CROSS JOIN LATERAL (
            SELECT * FROM livingworld.memories m
            WHERE m.world_id = in_world_id AND m.memory_id = seen.memory_id OFFSET 0
        ) m;
    END IF;
    RETURN json_build_object(
        'story', the_story, 'branch', the_branch, 'recent', recent, 'cast', cast_members, 'facts', facts,
        'relationships', relationships, 'memories', memories
    )::text;
END
$function$

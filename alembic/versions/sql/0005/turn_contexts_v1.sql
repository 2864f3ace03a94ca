-- What a prompt needs of each of some turns, as a JSON object: the story, the branch as it stands, the last scenes of the
-- path that ends with the base scene, oldest first, and who appears in the last of them; what is true there, what those in
-- its cast feel toward each other, what was remembered in those scenes and is not private, and the last summaries from
-- before them that still stand for what they were made of. Each row is an array of values, in the order of context_rows.py.
-- A part without rows is null. One statement reads a part of all turns; of a part that a story has nothing of only the
-- look for it runs.
CREATE FUNCTION livingworld.turn_contexts_v1(
    in_world_id uuid,
    in_story_ids uuid[],
    in_branch_numbers integer[],
    in_base_scenes integer[],       -- NULL: before the first
    in_recents integer[]
) RETURNS text[]
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
    turns integer := cardinality(in_story_ids);
    stories json[];
    branches json[];
    timelines integer[];
    positions integer[];
    firsts integer[];
    -- Whether the last scenes stand on the timeline of the base scene, and whether the story has facts, and summaries.
    straight boolean[];
    with_facts boolean[];
    with_summaries boolean[];
    -- The ranges of the paths that have the last scenes, and of which turn each is; see path_ranges_v1.
    range_turns integer[];
    range_timelines integer[];
    range_froms integer[];
    range_tos integer[];
    recents json[] := array_fill(NULL::json, ARRAY[turns]);
    casts json[] := recents;
    facts json;
    relationships json;
    memories json;
    remembering integer[];
    found record;
    contexts text[] := array_fill(NULL::text, ARRAY[turns]);
BEGIN
    SELECT array_agg(p.story), array_agg(p.branch), array_agg(p.timeline), array_agg(p.position), array_agg(p.first),
           array_agg(p.straight), array_agg(p.with_facts), array_agg(p.with_summaries), array_agg(p.turn)
    INTO stories, branches, timelines, positions, firsts, straight, with_facts, with_summaries, range_turns
    FROM (
        SELECT g.turn, s.story, b.branch, coalesce(a.timeline_number, 1) AS timeline, coalesce(a.position, 0) AS "position",
               coalesce(a.position, 0) - g.recent + 1 AS first,
               coalesce(t.fork_position <= coalesce(a.position, 0) - g.recent, false) AS straight,
               EXISTS (
                   SELECT FROM livingworld.fact_names n WHERE n.world_id = in_world_id AND n.story_id = g.story_id OFFSET 0
               ) AS with_facts,
               coalesce(a.position, 0) >= g.recent AND EXISTS (
                   SELECT FROM livingworld.memories m
                   WHERE m.world_id = in_world_id AND m.story_id = g.story_id AND m.is_summary OFFSET 0
               ) AS with_summaries
        FROM unnest(in_story_ids, in_branch_numbers, in_base_scenes, in_recents)
            WITH ORDINALITY AS g (story_id, branch_number, base_scene, recent, turn)
        LEFT JOIN LATERAL (
            SELECT json_build_array(
                s.story_id, s.title, s.premise, s.system_prompt, s.status, s.last_scene_number, s.current_branch, s.settings,
                s.version, s.created_at, s.updated_at, s.archived_at, s.key, s.last_scene_at
            ) AS story
            FROM livingworld.stories s WHERE s.world_id = in_world_id AND s.story_id = g.story_id OFFSET 0
        ) s ON true
        LEFT JOIN LATERAL (
            SELECT json_build_array(b.branch_number, b.name, b.head_scene_number, b.head_position) AS branch
            FROM livingworld.branches b
            WHERE b.world_id = in_world_id AND b.story_id = g.story_id AND b.branch_number = g.branch_number OFFSET 0
        ) b ON true
        LEFT JOIN LATERAL (
            SELECT c.timeline_number, c.position FROM livingworld.scenes c
            WHERE c.world_id = in_world_id AND c.story_id = g.story_id AND c.scene_number = g.base_scene OFFSET 0
        ) a ON true
        LEFT JOIN LATERAL (
            SELECT t.fork_position FROM livingworld.timelines t
            WHERE t.world_id = in_world_id AND t.story_id = g.story_id AND t.timeline_number = coalesce(a.timeline_number, 1)
            OFFSET 0
        ) t ON true
        ORDER BY g.turn
    ) p;

    IF true = ALL (straight) THEN
        range_timelines := timelines;
        range_froms := firsts;
        range_tos := positions;
    ELSE
        SELECT array_agg(g.turn), array_agg(p.timeline_number), array_agg(greatest(p.from_position, g.first)),
               array_agg(p.to_position)
        INTO range_turns, range_timelines, range_froms, range_tos
        FROM unnest(in_story_ids, timelines, positions, firsts)
            WITH ORDINALITY AS g (story_id, timeline, "position", first, turn)
        CROSS JOIN LATERAL livingworld.path_ranges_v1(in_world_id, g.story_id, g.timeline, g.position) p
        WHERE p.to_position >= g.first;
    END IF;

    FOR found IN
        SELECT r.turn, json_agg(
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
                    WHERE m.world_id = in_world_id AND m.story_id = s.story_id AND m.scene_number = s.scene_number
                )
            ) ORDER BY s.position
        ) AS scenes
        FROM unnest(range_turns, range_timelines, range_froms, range_tos)
            AS r (turn, timeline_number, from_position, to_position)
        CROSS JOIN LATERAL (
            -- Before PostgreSQL 18 such a comparison does not end the scan, the number of scenes does: no position is
            -- free. It names the one index that has them in this order, see the decision on indexes.
            SELECT * FROM livingworld.scenes s
            WHERE s.world_id = in_world_id AND s.position > 0
                AND (s.timeline_number, s.story_id, s.position)
                    >= (r.timeline_number, in_story_ids[r.turn], r.from_position)
                AND (s.timeline_number, s.story_id, s.position)
                    <= (r.timeline_number, in_story_ids[r.turn], r.to_position)
            ORDER BY s.timeline_number, s.story_id, s.position
            LIMIT greatest(r.to_position - greatest(r.from_position, 1) + 1, 0)
        ) s
        GROUP BY r.turn
    LOOP
        recents[found.turn] := found.scenes;
    END LOOP;
    FOR found IN
        SELECT g.turn, json_agg(
            json_build_array(
                c.character_id, c.name, c.card, c.version, c.created_at, c.updated_at, c.key,
                (
                    SELECT json_agg(n.name ORDER BY n.created_at, n.name_key) FROM livingworld.character_names n
                    WHERE n.world_id = in_world_id AND n.character_id = c.character_id
                )
            ) ORDER BY c.character_id
        ) AS cast_members
        FROM unnest(in_story_ids, in_base_scenes) WITH ORDINALITY AS g (story_id, base_scene, turn)
        CROSS JOIN LATERAL (
            SELECT m.character_id FROM livingworld.scene_cast m
            WHERE m.world_id = in_world_id AND m.story_id = g.story_id AND m.scene_number = g.base_scene OFFSET 0
        ) m
        CROSS JOIN LATERAL (
            SELECT * FROM livingworld.characters c
            WHERE c.world_id = in_world_id AND c.character_id = m.character_id OFFSET 0
        ) c
        GROUP BY g.turn
    LOOP
        casts[found.turn] := found.cast_members;
    END LOOP;
    SELECT array_agg(DISTINCT r.turn) INTO remembering
    FROM unnest(range_turns, range_timelines, range_froms, range_tos)
        AS r (turn, timeline_number, from_position, to_position)
    CROSS JOIN LATERAL (
        SELECT FROM livingworld.memories m
        WHERE m.world_id = in_world_id AND m.timeline_number = r.timeline_number AND m.story_id = in_story_ids[r.turn]
            AND m.position BETWEEN r.from_position AND r.to_position LIMIT 1
    ) m;

    FOR turn IN 1..turns LOOP
        relationships := NULL;
        facts := NULL;
        memories := NULL;
        IF json_array_length(casts[turn]) > 1 THEN
            relationships := livingworld.context_relationships_v1(
                in_world_id, in_story_ids[turn], in_base_scenes[turn], timelines[turn], positions[turn]
            );
        END IF;
        IF with_facts[turn] THEN
            SELECT json_agg(
                json_build_array(f.subject, f.name, f.attribute, f.value, f.version, f.scene_number, f.created_at)
            ) INTO facts
            FROM livingworld.visible_facts_v1(
                in_world_id, in_story_ids[turn], timelines[turn], positions[turn], NULL, NULL
            ) f;
        END IF;
        IF with_summaries[turn] OR turn = ANY (remembering) THEN
            memories := livingworld.context_memories_v1(
                in_world_id, in_story_ids[turn], timelines[turn], positions[turn], firsts[turn], with_summaries[turn]
            );
        END IF;
        contexts[turn] := json_build_object(
            'story', stories[turn], 'branch', branches[turn], 'recent', recents[turn], 'cast', casts[turn],
            'facts', facts, 'relationships', relationships, 'memories', memories
        )::text;
    END LOOP;
    RETURN contexts;
END
$function$

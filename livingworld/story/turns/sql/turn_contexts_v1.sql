-- What a prompt needs, for each turn in the order of the inputs, as one JSON object: the story, the branch as it stands,
-- the last scenes of the path that ends with the base scene (NULL: before the first), oldest first, and who appears in the
-- last of them; what is true there, what those in its cast feel toward each other, and what was remembered in those scenes
-- and is not private. Each row is an array of the values of its `columns`: an object for each row would take longer to build.
CREATE FUNCTION livingworld.turn_contexts_v1(
    in_world_id uuid, in_story_ids uuid[], in_branch_numbers integer[], in_base_scenes integer[], in_recents integer[]
) RETURNS SETOF text
LANGUAGE plpgsql STABLE
AS $function$
BEGIN
    RETURN QUERY
        SELECT json_build_object(
            'columns', '{
                "story": ["story_id", "title", "premise", "system_prompt", "status", "last_scene_number", "current_branch",
                          "settings", "version", "created_at", "updated_at", "archived_at"],
                "branch": ["branch_number", "name", "head_scene_number", "head_position"],
                "recent": ["scene_number", "parent_scene_number", "position", "content", "chosen_choice", "location",
                           "story_time", "scene_metadata", "scene_version", "scene_created_at", "scene_updated_at",
                           "choices", "cast_members"],
                "cast_members": ["character", "role", "importance"],
                "cast": ["character_id", "name", "card", "version", "created_at", "updated_at", "names"],
                "facts": ["subject", "attribute", "value", "version", "scene_number", "created_at"],
                "relationships": ["source_id", "target_id", "sentiment", "trust", "familiarity", "kind", "changes",
                                  "version", "scene_number", "created_at"],
                "memories": ["memory_id", "story_id", "content", "character_id", "kind", "private", "importance", "valence",
                             "scene_number", "consolidated_into", "forgotten_at", "created_at"]
            }'::json,
            'story', json_build_array(
                s.story_id, s.title, s.premise, s.system_prompt, s.status, s.last_scene_number, s.current_branch,
                s.settings, s.version, s.created_at, s.updated_at, s.archived_at
            ),
            'branch', json_build_array(b.branch_number, b.name, b.head_scene_number, b.head_position),
            'recent', recent.scenes,
            'cast', (
                SELECT json_agg(
                    json_build_array(
                        c.character_id, c.name, c.card, c.version, c.created_at, c.updated_at,
                        (
                            SELECT json_agg(n.name ORDER BY n.created_at, n.name_key) FROM livingworld.character_names n
                            WHERE n.world_id = in_world_id AND n.character_id = c.character_id
                        )
                    ) ORDER BY c.character_id
                )
                FROM livingworld.scene_cast m
                CROSS JOIN LATERAL (
                    SELECT * FROM livingworld.characters c
                    WHERE c.world_id = in_world_id AND c.character_id = m.character_id OFFSET 0
                ) c
                WHERE m.world_id = in_world_id AND m.story_id = given.story_id AND m.scene_number = given.base_scene
            ),
            'facts', (
                SELECT json_agg(
                    json_build_array(f.subject, f.attribute, f.value, f.version, f.scene_number, f.created_at)
                    ORDER BY f.subject, f.attribute
                )
                FROM livingworld.visible_facts_v1(
                    in_world_id, given.story_id, place.timeline_number, place.position, NULL, NULL
                ) f
            ),
            'relationships', (
                SELECT json_agg(
                    json_build_array(c.source_id, c.target_id, c.sentiment, c.trust, c.familiarity, c.kind, c.changes,
                                     c.version, c.scene_number, c.created_at)
                    ORDER BY c.source_id, c.target_id
                )
                FROM livingworld.scene_cast m
                CROSS JOIN LATERAL (
                    SELECT r.source_id, r.target_id FROM livingworld.relationships r
                    WHERE r.world_id = in_world_id AND r.story_id = given.story_id AND r.source_id = m.character_id OFFSET 0
                ) r
                CROSS JOIN LATERAL (
                    SELECT FROM livingworld.scene_cast n
                    WHERE n.world_id = in_world_id AND n.story_id = given.story_id AND n.scene_number = given.base_scene
                        AND n.character_id = r.target_id OFFSET 0
                ) n
                CROSS JOIN LATERAL livingworld.last_relationship_v1(
                    in_world_id, given.story_id, r.source_id, r.target_id, place.timeline_number, place.position, NULL
                ) c
                WHERE m.world_id = in_world_id AND m.story_id = given.story_id AND m.scene_number = given.base_scene
            ),
            'memories', (
                SELECT json_agg(
                    json_build_array(m.memory_id, m.story_id, m.content, m.character_id, m.kind, m.private, m.importance,
                                     m.valence, m.scene_number, m.consolidated_into, m.forgotten_at, m.created_at)
                    ORDER BY m.position, m.memory_id
                )
                FROM livingworld.visible_memories_v1(
                    in_world_id, given.story_id, place.timeline_number, place.position, NULL, NULL,
                    place.position - given.recent + 1, NULL
                ) seen
                CROSS JOIN LATERAL (
                    SELECT * FROM livingworld.memories m
                    WHERE m.world_id = in_world_id AND m.memory_id = seen.memory_id OFFSET 0
                ) m
            )
        )::text
        FROM unnest(in_story_ids, in_branch_numbers, in_base_scenes, in_recents)
            WITH ORDINALITY AS given (story_id, branch_number, base_scene, recent, ordinal)
        CROSS JOIN LATERAL (
            SELECT * FROM livingworld.stories s WHERE s.world_id = in_world_id AND s.story_id = given.story_id OFFSET 0
        ) s
        CROSS JOIN LATERAL (
            SELECT * FROM livingworld.branches b
            WHERE b.world_id = in_world_id AND b.story_id = given.story_id AND b.branch_number = given.branch_number OFFSET 0
        ) b
        LEFT JOIN LATERAL (
            SELECT * FROM livingworld.scenes base
            WHERE base.world_id = in_world_id AND base.story_id = given.story_id AND base.scene_number = given.base_scene
            OFFSET 0
        ) base ON true
        CROSS JOIN LATERAL (
            SELECT coalesce(base.timeline_number, 1) AS timeline_number, coalesce(base.position, 0) AS position OFFSET 0
        ) place
        CROSS JOIN LATERAL (
            SELECT json_agg(
                json_build_array(
                    s.scene_number, s.parent_scene_number, s.position, s.content, s.chosen_choice, s.location, s.story_time,
                    s.metadata, s.version, s.created_at, s.updated_at, s.choices,
                    (
                        SELECT json_agg(json_build_array(m.character_id, m.role, m.importance) ORDER BY m.character_id)
                        FROM livingworld.scene_cast m
                        WHERE m.world_id = in_world_id AND m.story_id = given.story_id AND m.scene_number = s.scene_number
                    )
                ) ORDER BY s.position
            ) AS scenes
            FROM (
                SELECT p.timeline_number, greatest(p.from_position, place.position - given.recent + 1) AS from_position,
                       p.to_position
                FROM livingworld.path_ranges_v1(
                    in_world_id, given.story_id, place.timeline_number, place.position
                ) p
                WHERE p.to_position > greatest(place.position - given.recent, 0)
            ) range
            CROSS JOIN LATERAL (
                -- Before PostgreSQL 18 such a comparison does not end the scan, the number of scenes does: no position is
                -- free. It names the one index that has them in this order, see the decision on indexes.
                SELECT * FROM livingworld.scenes s
                WHERE s.world_id = in_world_id AND s.position > 0
                    AND (s.timeline_number, s.story_id, s.position)
                        >= (range.timeline_number, given.story_id, range.from_position)
                    AND (s.timeline_number, s.story_id, s.position)
                        <= (range.timeline_number, given.story_id, range.to_position)
                ORDER BY s.timeline_number, s.story_id, s.position
                LIMIT greatest(range.to_position - range.from_position + 1, 0)
            ) s
        ) recent
        ORDER BY given.ordinal;
END
$function$

-- What a prompt needs, for each turn in the order of the inputs, as one JSON object: the story, the branch as it stands,
-- the last scenes of the path that ends with the base scene (NULL: before the first), oldest first, and who appears in the
-- last of them. Called by take_turns_v1, under whose settings it is planned. Never changed once released.
CREATE FUNCTION livingworld.turn_contexts_v1(
    in_world_id uuid, in_story_ids uuid[], in_branch_numbers integer[], in_base_scenes integer[], in_recents integer[]
) RETURNS SETOF text
LANGUAGE plpgsql STABLE
AS $function$
BEGIN
    RETURN QUERY
        SELECT json_build_object(
            'story', json_build_array(
                s.title, s.premise, s.system_prompt, s.status, s.last_scene_number, s.current_branch, s.settings, s.version,
                s.created_at, s.updated_at
            ),
            'branch', json_build_array(b.branch_number, b.name, b.head_scene_number, b.head_position),
            'recent', told.scenes,
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
        LEFT JOIN LATERAL (
            SELECT * FROM livingworld.timelines t
            WHERE t.world_id = in_world_id AND t.story_id = given.story_id AND t.timeline_number = base.timeline_number
            OFFSET 0
        ) t ON true
        CROSS JOIN LATERAL (
            SELECT json_agg(
                json_build_array(
                    s.scene_number, s.parent_scene_number, s.position, s.content, s.chosen_choice, s.location, s.story_time,
                    s.metadata, s.version, s.created_at, s.updated_at,
                    (
                        SELECT json_agg(json_build_array(c.choice_number, c.content) ORDER BY c.choice_number)
                        FROM livingworld.choices c
                        WHERE c.world_id = in_world_id AND c.story_id = given.story_id AND c.scene_number = s.scene_number
                    ),
                    (
                        SELECT json_agg(json_build_array(m.character_id, m.role, m.importance) ORDER BY m.character_id)
                        FROM livingworld.scene_cast m
                        WHERE m.world_id = in_world_id AND m.story_id = given.story_id AND m.scene_number = s.scene_number
                    )
                ) ORDER BY s.position
            ) AS scenes
            FROM (
                SELECT t.timeline_number, t.fork_position + 1 AS from_position, base.position AS to_position
                UNION ALL
                SELECT l.owner_timeline, l.from_position, least(l.to_position, base.position)
                FROM livingworld.timeline_lineage l
                WHERE l.world_id = in_world_id AND l.story_id = given.story_id AND l.timeline_number = t.timeline_number
                    AND l.to_position > base.position - given.recent
            ) piece
            CROSS JOIN LATERAL (
                SELECT * FROM livingworld.scenes s
                WHERE s.world_id = in_world_id
                    AND (s.timeline_number, s.story_id, s.position) >= (
                        piece.timeline_number, given.story_id,
                        greatest(piece.from_position, base.position - given.recent + 1)
                    )
                    AND (s.timeline_number, s.story_id, s.position)
                        <= (piece.timeline_number, given.story_id, piece.to_position)
                OFFSET 0
            ) s
        ) told
        ORDER BY given.ordinal;
END
$function$

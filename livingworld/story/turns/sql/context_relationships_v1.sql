-- What those who appear in a scene feel toward each other there, as an array of arrays of values in the order of
-- context_rows.py; NULL: nothing.
CREATE FUNCTION livingworld.context_relationships_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_scene_number integer,
    in_timeline integer,            -- where the scene stands
    in_position integer
) RETURNS json
LANGUAGE plpgsql STABLE
AS $function$
DECLARE
    relationships json;
BEGIN
    SELECT json_agg(
        json_build_array(c.source_id, c.target_id, c.sentiment, c.trust, c.familiarity, c.kind, c.notes, c.changes,
                         c.version, c.scene_number, c.created_at)
        ORDER BY c.source_id, c.target_id
    ) INTO relationships
    FROM livingworld.scene_cast m
    CROSS JOIN LATERAL (
        SELECT r.source_id, r.target_id FROM livingworld.relationships r
        WHERE r.world_id = in_world_id AND r.story_id = in_story_id AND r.source_id = m.character_id
        OFFSET 0
    ) r
    CROSS JOIN LATERAL (
        SELECT FROM livingworld.scene_cast n
        WHERE n.world_id = in_world_id AND n.story_id = in_story_id
            AND n.scene_number = in_scene_number AND n.character_id = r.target_id OFFSET 0
    ) n
    CROSS JOIN LATERAL livingworld.last_relationship_v1(
        in_world_id, in_story_id, r.source_id, r.target_id, in_timeline, in_position, NULL
    ) c
    WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.scene_number = in_scene_number;
    RETURN relationships;
END
$function$

-- The last change of a relationship on the path to a place; no row: there is none. Looked up in the ranges of the path from
-- the last one back.
CREATE FUNCTION livingworld.last_relationship_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_source_id uuid,
    in_target_id uuid,
    in_timeline integer,
    in_position integer,
    in_before integer               -- at the place itself only changes before this version; NULL: all of them
) RETURNS SETOF livingworld.relationship_changes
LANGUAGE plpgsql
STABLE
ROWS 1
AS $function$
BEGIN
    RETURN QUERY
        SELECT c.* FROM (
            SELECT * FROM livingworld.path_ranges_v1(in_world_id, in_story_id, in_timeline, in_position) p
            ORDER BY p.from_position DESC OFFSET 0
        ) p
        CROSS JOIN LATERAL (
            SELECT * FROM livingworld.relationship_changes c
            WHERE c.world_id = in_world_id AND c.story_id = in_story_id AND c.source_id = in_source_id
                AND c.target_id = in_target_id AND c.timeline_number = p.timeline_number
                AND c.position BETWEEN p.from_position AND p.to_position AND c.archived_in IS NULL
                AND (in_before IS NULL OR c.position < in_position OR c.version < in_before)
            ORDER BY c.position DESC, c.version DESC LIMIT 1
        ) c
        ORDER BY p.from_position DESC LIMIT 1;
END
$function$

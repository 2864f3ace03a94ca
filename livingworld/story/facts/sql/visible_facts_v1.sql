-- What is true on the path to a place: the last value of each fact, those of characters first, in the order of subjects and
-- attributes. What was retracted is left out. Each fact is looked up in the ranges of the path from the last one back, until one has it.
CREATE FUNCTION livingworld.visible_facts_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_timeline integer,
    in_position integer,
    in_subject text,                -- as facts have it; NULL: of all subjects
    in_attribute text               -- NULL: all of them
) RETURNS TABLE (
    subject text, name text, attribute text, value text, version integer, scene_number integer, created_at timestamptz
)
LANGUAGE plpgsql
STABLE
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT n.subject, livingworld.name_of_subject_v1(in_world_id, n.subject), n.attribute, last.value::text, last.version,
               last.scene_number, last.created_at
        FROM (
            SELECT n.subject, n.attribute FROM livingworld.fact_names n
            WHERE n.world_id = in_world_id AND n.story_id = in_story_id AND in_subject IS NULL
            UNION ALL
            SELECT n.subject, n.attribute FROM livingworld.fact_names n
            WHERE n.world_id = in_world_id AND n.story_id = in_story_id AND n.subject = in_subject
                AND in_attribute IS NULL
            UNION ALL
            SELECT in_subject, in_attribute WHERE in_attribute IS NOT NULL
        ) n
        CROSS JOIN LATERAL (
            SELECT f.* FROM (
                SELECT * FROM livingworld.path_ranges_v1(in_world_id, in_story_id, in_timeline, in_position) p
                ORDER BY p.from_position DESC OFFSET 0
            ) p
            CROSS JOIN LATERAL (
                SELECT f.value, f.version, f.scene_number, f.created_at FROM livingworld.facts f
                WHERE f.world_id = in_world_id AND f.story_id = in_story_id AND f.subject = n.subject
                    AND f.attribute = n.attribute AND f.timeline_number = p.timeline_number
                    AND f.position BETWEEN p.from_position AND p.to_position AND f.archived_in IS NULL
                ORDER BY f.position DESC, f.version DESC LIMIT 1
            ) f
            ORDER BY p.from_position DESC LIMIT 1
        ) last
        WHERE last.value IS NOT NULL
        ORDER BY left(n.subject, 1) = '=', n.subject, n.attribute;
END
$function$

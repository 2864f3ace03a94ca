-- The ranges of timelines that make the path to a place, disjoint, and the place before the first scene, which every path
-- contains.
CREATE FUNCTION livingworld.path_pieces_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_timeline integer,
    in_position integer
) RETURNS TABLE (timeline_number integer, from_position integer, to_position integer)
LANGUAGE plpgsql
STABLE
ROWS 20
AS $function$
BEGIN
    RETURN QUERY
        SELECT t.timeline_number, t.fork_position + 1, in_position
        FROM livingworld.timelines t
        WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.timeline_number = in_timeline
        UNION ALL
        SELECT l.owner_timeline, l.from_position, least(l.to_position, in_position)
        FROM livingworld.timeline_lineage l
        WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.timeline_number = in_timeline
            AND l.from_position <= in_position
        UNION ALL
        SELECT 1, 0, 0;
END
$function$

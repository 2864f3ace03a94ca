-- Open a timeline that leaves another one behind a position, which must be one of that timeline's path: it remembers which
-- ranges of which older timelines lead there. The caller holds the lock of the story.
CREATE FUNCTION livingworld.open_timeline_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_timeline integer,            -- the new one
    in_parent integer,
    in_position integer
) RETURNS void
LANGUAGE plpgsql
AS $function$
BEGIN
    INSERT INTO livingworld.timelines (world_id, story_id, timeline_number, parent_timeline, fork_position)
    VALUES (in_world_id, in_story_id, in_timeline, in_parent, in_position);
    INSERT INTO livingworld.timeline_lineage
        (world_id, story_id, timeline_number, owner_timeline, from_position, to_position)
    SELECT in_world_id, in_story_id, in_timeline, p.timeline_number, p.from_position, p.to_position
    FROM livingworld.path_ranges_v1(in_world_id, in_story_id, in_parent, in_position) p
    WHERE p.to_position >= greatest(p.from_position, 1);
END
$function$

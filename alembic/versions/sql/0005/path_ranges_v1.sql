-- The ranges of timelines that make the path to a position of a timeline: its own one, those that it inherits, and the place
-- before the first scene, which every path contains. They are disjoint. Each is an index range of scenes, facts,
-- relationship changes and memories.
--
-- PostgreSQL puts this text into the statement that calls it, so it must stay one SELECT without settings. scene_query.py
-- does the same for statements that Citus sends to a shard, which must not call what reads a table.
CREATE FUNCTION livingworld.path_ranges_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_timeline integer,
    in_position integer
) RETURNS TABLE (timeline_number integer, from_position integer, to_position integer)
LANGUAGE sql
STABLE
BEGIN ATOMIC
    SELECT t.timeline_number, t.fork_position + 1 AS from_position, in_position AS to_position
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

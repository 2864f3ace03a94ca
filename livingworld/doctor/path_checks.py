"""What may be wrong with the paths of a story: timelines, parents and choices."""

from __future__ import annotations

from typing import Final

from livingworld.doctor.world_check import STORY, WorldCheck

_EXPECTED_LINEAGE: Final = """
    WITH RECURSIVE walk AS (
        SELECT t.story_id, t.timeline_number, t.parent_timeline AS owner_timeline, t.fork_position AS upto
        FROM livingworld.timelines t WHERE t.world_id = :world_id AND t.parent_timeline IS NOT NULL
        UNION ALL
        SELECT w.story_id, w.timeline_number, p.parent_timeline, least(w.upto, p.fork_position)
        FROM walk w JOIN livingworld.timelines p
            ON p.world_id = :world_id AND p.story_id = w.story_id AND p.timeline_number = w.owner_timeline
        WHERE p.parent_timeline IS NOT NULL
    ), expected AS (
        SELECT w.story_id, w.timeline_number, w.owner_timeline, p.fork_position + 1 AS from_position,
               w.upto AS to_position
        FROM walk w JOIN livingworld.timelines p
            ON p.world_id = :world_id AND p.story_id = w.story_id AND p.timeline_number = w.owner_timeline
        WHERE w.upto > p.fork_position
    )
"""

_WRONG_LINEAGE: Final = f"""
    {_EXPECTED_LINEAGE}, stored AS (
        SELECT l.story_id, l.timeline_number, l.owner_timeline, l.from_position, l.to_position
        FROM livingworld.timeline_lineage l WHERE l.world_id = :world_id
    )
    SELECT d.story_id, d.timeline_number, count(*) AS ranges FROM (
        (SELECT * FROM expected EXCEPT SELECT * FROM stored)
        UNION ALL (SELECT * FROM stored EXCEPT SELECT * FROM expected)
    ) d GROUP BY d.story_id, d.timeline_number
"""  # noqa: S608 - our own words
# The recursion stands within the SELECT: Citus loses one that stands before the INSERT.
_STORE_LINEAGE: Final = f"""
    INSERT INTO livingworld.timeline_lineage
        (world_id, story_id, timeline_number, owner_timeline, from_position, to_position)
    {_EXPECTED_LINEAGE}
    SELECT :world_id, e.story_id, e.timeline_number, e.owner_timeline, e.from_position, e.to_position
    FROM expected e WHERE e.story_id = :story_id AND e.timeline_number = :timeline_number
"""  # noqa: S608

PATH_CHECKS: Final = (
    WorldCheck(
        name="lineage",
        find=_WRONG_LINEAGE,
        wrong="The ranges that a timeline inherits do not tile the path to its fork.",
        meaning="Readers of the branch miss scenes before its fork, or see those of another path.",
        repair="Computes the ranges again from the parents and forks of the timelines.",
        root=STORY,
        statements=(
            """
            DELETE FROM livingworld.timeline_lineage l
            WHERE l.world_id = :world_id AND l.story_id = :story_id AND l.timeline_number = :timeline_number
            """,
            _STORE_LINEAGE,
        ),
    ),
    WorldCheck(
        name="timeline_gaps",
        find="""
            SELECT t.story_id, t.timeline_number, t.fork_position, min(c.position) AS first, max(c.position) AS last,
                   count(c.position) AS scenes
            FROM livingworld.timelines t
            LEFT JOIN livingworld.scenes c
                ON c.world_id = :world_id AND c.story_id = t.story_id AND c.timeline_number = t.timeline_number
            WHERE t.world_id = :world_id GROUP BY t.story_id, t.timeline_number, t.fork_position
            HAVING min(c.position) <> t.fork_position + 1
                OR max(c.position) - min(c.position) + 1 <> count(c.position)
                OR t.timeline_number > 1 AND count(c.position) = 0
        """,
        wrong="A timeline has no scene at a position between its fork and its end.",
        meaning="The path has a hole: a reader goes from one scene to one that does not follow it.",
        repair="Refused: no other row says what stood there. Restore the story from a backup.",
    ),
    WorldCheck(
        name="scenes_off_timeline",
        find="""
            SELECT c.story_id, c.scene_number, c.timeline_number FROM livingworld.scenes c
            LEFT JOIN livingworld.timelines t
                ON t.world_id = :world_id AND t.story_id = c.story_id AND t.timeline_number = c.timeline_number
            WHERE c.world_id = :world_id AND t.timeline_number IS NULL
        """,
        wrong="A scene stands on a timeline, or in a story, that does not exist.",
        meaning="No path shows the scene.",
        repair="Refused: it would remove text. Restore the timeline or the story from a backup.",
    ),
    WorldCheck(
        name="parents",
        find="""
            SELECT c.story_id, c.scene_number, c.parent_scene_number, p.scene_number AS expected
            FROM livingworld.scenes c
            JOIN livingworld.timelines t
                ON t.world_id = :world_id AND t.story_id = c.story_id AND t.timeline_number = c.timeline_number
            LEFT JOIN livingworld.timeline_lineage l
                ON l.world_id = :world_id AND l.story_id = c.story_id AND l.timeline_number = c.timeline_number
                AND c.position - 1 BETWEEN l.from_position AND l.to_position
            JOIN livingworld.scenes p
                ON p.world_id = :world_id AND p.story_id = c.story_id AND p.position = c.position - 1
                AND p.timeline_number = CASE WHEN c.position - 1 > t.fork_position THEN c.timeline_number
                                        ELSE l.owner_timeline END
            WHERE c.world_id = :world_id AND c.position > 1 AND p.scene_number < c.scene_number
                AND c.parent_scene_number IS DISTINCT FROM p.scene_number
        """,
        wrong="The parent of a scene is not the scene before it on its path.",
        meaning="The tree of the story and the path of a branch contradict each other.",
        repair="Sets the parent to the scene before it on its path, by which readers go.",
        root=STORY,
        statements=(
            """
            UPDATE livingworld.scenes c SET parent_scene_number = :expected
            WHERE c.world_id = :world_id AND c.story_id = :story_id AND c.scene_number = :scene_number
            """,
        ),
    ),
    WorldCheck(
        name="choices_lost",
        find="""
            SELECT c.story_id, c.scene_number, c.chosen_choice FROM livingworld.scenes c
            LEFT JOIN livingworld.scenes p
                ON p.world_id = :world_id AND p.story_id = c.story_id AND p.scene_number = c.parent_scene_number
            WHERE c.world_id = :world_id AND c.chosen_choice > coalesce(cardinality(p.choices), 0)
        """,
        wrong="A scene follows a choice that its parent does not offer.",
        meaning="A reader sees the scene, and no choice that led to it.",
        repair="Refused: which text the player chose is not known.",
    ),
)

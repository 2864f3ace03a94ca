"""What may be wrong with the numbers of a story and with its branches."""

from __future__ import annotations

from typing import Final

from livingworld.doctor.world_check import STORY, WorldCheck

STORY_CHECKS: Final = (
    WorldCheck(
        name="scene_gaps",
        find="""
            SELECT s.story_id, s.last_scene_number, max(c.scene_number) AS highest, count(c.scene_number) AS scenes
            FROM livingworld.stories s
            LEFT JOIN livingworld.scenes c ON c.world_id = :world_id AND c.story_id = s.story_id
            WHERE s.world_id = :world_id GROUP BY s.story_id, s.last_scene_number
            HAVING greatest(s.last_scene_number, max(c.scene_number)) > count(c.scene_number)
        """,
        wrong="Numbers of scenes are missing in a story.",
        meaning="Scenes that were acknowledged are lost, and a path through them ends early.",
        repair="Refused: no other row has their text. Restore the story from a backup.",
    ),
    WorldCheck(
        name="story_counters",
        find="""
            SELECT s.story_id, s.last_scene_number, coalesce(c.highest, 0) AS scene_number, s.last_timeline_number,
                   coalesce(t.highest, 1) AS timeline_number, s.last_branch_number,
                   coalesce(b.highest, 1) AS branch_number
            FROM livingworld.stories s
            LEFT JOIN (
                SELECT story_id, max(scene_number) AS highest FROM livingworld.scenes
                WHERE world_id = :world_id GROUP BY story_id
            ) c ON c.story_id = s.story_id
            LEFT JOIN (
                SELECT story_id, max(timeline_number) AS highest FROM livingworld.timelines
                WHERE world_id = :world_id GROUP BY story_id
            ) t ON t.story_id = s.story_id
            LEFT JOIN (
                SELECT story_id, max(branch_number) AS highest FROM livingworld.branches
                WHERE world_id = :world_id GROUP BY story_id
            ) b ON b.story_id = s.story_id
            WHERE s.world_id = :world_id AND (
                s.last_scene_number < c.highest OR s.last_timeline_number < t.highest
                OR s.last_branch_number < b.highest
            )
        """,
        wrong="A counter of a story is behind the scenes, timelines or branches that exist.",
        meaning="The next append or fork asks for a number that is taken, and fails each time.",
        repair="Sets the counters to the highest numbers that exist.",
        root=STORY,
        statements=(
            """
            UPDATE livingworld.stories s
            SET last_scene_number = greatest(s.last_scene_number, CAST(:scene_number AS integer)),
                last_timeline_number = greatest(s.last_timeline_number, CAST(:timeline_number AS integer)),
                last_branch_number = greatest(s.last_branch_number, CAST(:branch_number AS integer))
            WHERE s.world_id = :world_id AND s.story_id = :story_id
            """,
        ),
    ),
    WorldCheck(
        name="heads_misplaced",
        find="""
            SELECT b.story_id, b.branch_number, b.head_scene_number, b.head_timeline, b.head_position
            FROM livingworld.branches b
            JOIN livingworld.scenes c
                ON c.world_id = :world_id AND c.story_id = b.story_id AND c.scene_number = b.head_scene_number
            WHERE b.world_id = :world_id AND (c.timeline_number <> b.head_timeline OR c.position <> b.head_position)
        """,
        wrong="The head of a branch names a scene and another scene's place.",
        meaning="The branch reads one path and appends to another one.",
        repair="Moves the head to the place of the scene that it names; a turn that runs on the branch is refused.",
        root=STORY,
        statements=(
            """
            UPDATE livingworld.branches b
            SET head_timeline = c.timeline_number, head_position = c.position, version = b.version + 1,
                updated_at = now()
            FROM livingworld.scenes c
            WHERE b.world_id = :world_id AND b.story_id = :story_id AND b.branch_number = :branch_number
                AND c.world_id = :world_id AND c.story_id = :story_id AND c.scene_number = b.head_scene_number
            """,
        ),
    ),
    WorldCheck(
        name="heads_lost",
        find="""
            SELECT b.story_id, b.branch_number, b.head_scene_number FROM livingworld.branches b
            WHERE b.world_id = :world_id AND (
                b.head_scene_number IS NOT NULL AND NOT EXISTS (
                    SELECT FROM livingworld.scenes c WHERE c.world_id = :world_id AND c.story_id = b.story_id
                        AND c.scene_number = b.head_scene_number
                ) OR NOT EXISTS (
                    SELECT FROM livingworld.timelines t WHERE t.world_id = :world_id AND t.story_id = b.story_id
                        AND t.timeline_number = b.head_timeline
                )
            )
        """,
        wrong="The head of a branch points to a scene or a timeline that does not exist.",
        meaning="The branch cannot be read to its end, and every append to it follows nothing.",
        repair="Refused: which scene is the end of the branch is a choice. Use `world.branches.rewind`.",
    ),
    WorldCheck(
        name="redo_lost",
        find="""
            SELECT b.story_id, b.branch_number, b.redo_scene_number FROM livingworld.branches b
            WHERE b.world_id = :world_id AND b.redo_version = b.version AND NOT EXISTS (
                SELECT FROM livingworld.scenes c WHERE c.world_id = :world_id AND c.story_id = b.story_id
                    AND c.scene_number = b.redo_scene_number AND c.timeline_number = b.redo_timeline
                    AND c.position = b.redo_position
            )
        """,
        wrong="Redo of a branch leads to a scene that does not exist.",
        meaning="The next redo moves the head nowhere.",
        repair="Removes the place that redo leads to; the branch stays where it is.",
        root=STORY,
        statements=(
            """
            UPDATE livingworld.branches b
            SET redo_scene_number = NULL, redo_timeline = NULL, redo_position = NULL, redo_version = NULL
            WHERE b.world_id = :world_id AND b.story_id = :story_id AND b.branch_number = :branch_number
            """,
        ),
    ),
    WorldCheck(
        name="current_branch_lost",
        find="""
            SELECT s.story_id, s.current_branch FROM livingworld.stories s
            WHERE s.world_id = :world_id AND NOT EXISTS (
                SELECT FROM livingworld.branches b WHERE b.world_id = :world_id AND b.story_id = s.story_id
                    AND b.branch_number = s.current_branch
            )
        """,
        wrong="The current branch of a story does not exist.",
        meaning="Every call on the story that names no branch fails.",
        repair="Refused: which branch is current is a choice. Use `world.branches.switch`.",
    ),
)

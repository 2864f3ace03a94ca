"""What may be wrong with the words of scenes, and with the old copies of records."""

from __future__ import annotations

from typing import Final

from livingworld.doctor.world_check import STORY, WorldCheck

TEXT_CHECKS: Final = (
    WorldCheck(
        name="words_missing",
        find="""
            SELECT c.story_id, c.scene_number, c.version FROM livingworld.scenes c
            LEFT JOIN livingworld.scene_words w
                ON w.world_id = :world_id AND w.story_id = c.story_id AND w.scene_number = c.scene_number
            WHERE c.world_id = :world_id AND (w.version IS NULL OR w.version > c.version) AND NOT EXISTS (
                SELECT FROM livingworld.unindexed_scenes u
                WHERE u.world_id = :world_id AND u.story_id = c.story_id AND u.scene_number = c.scene_number
            )
        """,
        wrong="The words of a scene are not indexed, or those of a version that does not exist, and it is not queued.",
        meaning="A search does not find the scene by its text.",
        repair="Queues the scene; the next index run takes its words from its text.",
        root=STORY,
        statements=(
            """
            DELETE FROM livingworld.scene_words w
            WHERE w.world_id = :world_id AND w.story_id = :story_id AND w.scene_number = :scene_number
            """,
            """
            INSERT INTO livingworld.unindexed_scenes (world_id, story_id, scene_number, version)
            VALUES (:world_id, :story_id, :scene_number, :version) ON CONFLICT DO NOTHING
            """,
        ),
    ),
    WorldCheck(
        name="words_orphaned",
        find="""
            SELECT w.story_id, w.scene_number FROM (
                SELECT story_id, scene_number FROM livingworld.scene_words WHERE world_id = :world_id
                UNION SELECT story_id, scene_number FROM livingworld.unindexed_scenes WHERE world_id = :world_id
            ) w
            WHERE NOT EXISTS (
                SELECT FROM livingworld.scenes c
                WHERE c.world_id = :world_id AND c.story_id = w.story_id AND c.scene_number = w.scene_number
            )
        """,
        wrong="Words are indexed or queued of a scene that does not exist.",
        meaning="A search counts and ranks what cannot be shown.",
        repair="Removes the words and the place in the queue; they hold no text of their own.",
        root=STORY,
        statements=(
            """
            DELETE FROM livingworld.unindexed_scenes u
            WHERE u.world_id = :world_id AND u.story_id = :story_id AND u.scene_number = :scene_number
            """,
            """
            DELETE FROM livingworld.scene_words w
            WHERE w.world_id = :world_id AND w.story_id = :story_id AND w.scene_number = :scene_number
            """,
        ),
    ),
    WorldCheck(
        name="history_behind",
        find="""
            SELECT r.entity, r.entity_id, r.scene_number, r.version, count(v.version) AS copies,
                   max(v.version) AS newest
            FROM (
                SELECT 'scene' AS entity, story_id AS entity_id, scene_number, version FROM livingworld.scenes
                WHERE world_id = :world_id
                UNION ALL SELECT 'story', story_id, 0, version FROM livingworld.stories WHERE world_id = :world_id
                UNION ALL
                SELECT 'character', character_id, 0, version FROM livingworld.characters WHERE world_id = :world_id
                UNION ALL SELECT 'lore', lore_id, 0, version FROM livingworld.lore_entries WHERE world_id = :world_id
            ) r
            LEFT JOIN livingworld.revisions v ON v.world_id = :world_id AND v.entity = r.entity
                AND v.entity_id = r.entity_id AND v.scene_number = r.scene_number
            GROUP BY r.entity, r.entity_id, r.scene_number, r.version
            HAVING max(v.version) >= r.version
                OR r.entity IN ('scene', 'lore') AND count(v.version) <> r.version - 1
        """,
        wrong="The version of a scene, a story, a character or a lore entry does not fit the old copies of it.",
        meaning="An old text cannot be brought back, or the next edit asks for a version that is taken.",
        repair="Refused: which text belongs to which version is not known.",
    ),
)

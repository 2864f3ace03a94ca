"""What may be wrong with facts and relationships."""

from __future__ import annotations

from typing import Final

from livingworld.doctor.world_check import STORY, WorldCheck

STATE_CHECKS: Final = (
    WorldCheck(
        name="fact_counters",
        find="""
            SELECT n.story_id, n.subject, n.attribute, n.last_version, max(f.version) AS version
            FROM livingworld.fact_names n
            JOIN livingworld.facts f ON f.world_id = :world_id AND f.story_id = n.story_id
                AND f.subject = n.subject AND f.attribute = n.attribute
            WHERE n.world_id = :world_id GROUP BY n.story_id, n.subject, n.attribute, n.last_version
            HAVING max(f.version) > n.last_version
        """,
        wrong="The counter of a fact is behind its values.",
        meaning="The next value of the fact asks for a version that is taken, and fails each time.",
        repair="Sets the counter to the highest version that exists.",
        root=STORY,
        statements=(
            """
            UPDATE livingworld.fact_names n SET last_version = :version
            WHERE n.world_id = :world_id AND n.story_id = :story_id AND n.subject = :subject
                AND n.attribute = :attribute
            """,
        ),
    ),
    WorldCheck(
        name="relationship_counters",
        find="""
            SELECT r.story_id, r.source_id, r.target_id, r.last_version, max(c.version) AS version
            FROM livingworld.relationships r
            JOIN livingworld.relationship_changes c ON c.world_id = :world_id AND c.story_id = r.story_id
                AND c.source_id = r.source_id AND c.target_id = r.target_id
            WHERE r.world_id = :world_id GROUP BY r.story_id, r.source_id, r.target_id, r.last_version
            HAVING max(c.version) > r.last_version
        """,
        wrong="The counter of a relationship is behind its changes.",
        meaning="The next change of the relationship asks for a version that is taken, and fails each time.",
        repair="Sets the counter to the highest version that exists.",
        root=STORY,
        statements=(
            """
            UPDATE livingworld.relationships r SET last_version = :version
            WHERE r.world_id = :world_id AND r.story_id = :story_id AND r.source_id = :source_id
                AND r.target_id = :target_id
            """,
        ),
    ),
    WorldCheck(
        name="relationship_sums",
        find="""
            SELECT c.story_id, c.source_id, c.target_id, count(*) AS changes
            FROM livingworld.relationship_changes c
            LEFT JOIN LATERAL livingworld.last_relationship_v1(
                :world_id, c.story_id, c.source_id, c.target_id, c.timeline_number, c.position, c.version
            ) p ON true
            WHERE c.world_id = :world_id AND c.archived_in IS NULL AND NOT (c.is_first AND p.changes > 0) AND (
                abs(c.sentiment - greatest(-1, least(1, coalesce(p.sentiment, 0) + c.sentiment_delta))) > 1e-9
                OR abs(c.trust - greatest(-1, least(1, coalesce(p.trust, 0) + c.trust_delta))) > 1e-9
                OR abs(c.familiarity - greatest(0, least(1, coalesce(p.familiarity, 0) + c.familiarity_delta))) > 1e-9
                OR c.kind IS DISTINCT FROM nullif(coalesce(c.kind_given, p.kind), '')
                OR c.notes IS DISTINCT FROM nullif(coalesce(c.notes_given, p.notes), '')
                OR c.changes <> coalesce(p.changes, 0) + 1
            )
            GROUP BY c.story_id, c.source_id, c.target_id
        """,
        wrong="What a relationship is now is not the sum of its changes.",
        meaning="A character feels something that no change in its ledger explains.",
        repair="Adds the changes up again from the first one.",
        root=STORY,
        statements=(
            "SELECT livingworld.refold_relationship_v1(:world_id, :story_id, :source_id, :target_id, 1, 0, 0)",
        ),
    ),
    WorldCheck(
        name="state_off_path",
        find="""
            SELECT o.kind, o.story_id, o.scene_number, count(*) AS rows FROM (
                SELECT 'fact' AS kind, story_id, scene_number, timeline_number, position
                FROM livingworld.facts WHERE world_id = :world_id AND position > 0
                UNION ALL
                SELECT 'relationship', story_id, scene_number, timeline_number, position
                FROM livingworld.relationship_changes WHERE world_id = :world_id AND position > 0
                UNION ALL
                SELECT 'memory', story_id, scene_number, timeline_number, position
                FROM livingworld.memories WHERE world_id = :world_id AND position > 0
            ) o
            LEFT JOIN livingworld.scenes c
                ON c.world_id = :world_id AND c.story_id = o.story_id AND c.scene_number = o.scene_number
            WHERE c.timeline_number IS DISTINCT FROM o.timeline_number OR c.position IS DISTINCT FROM o.position
            GROUP BY o.kind, o.story_id, o.scene_number
        """,
        wrong="A fact, a relationship's change or a memory stands at a place that is not its scene's.",
        meaning="It is true on another path than its scene, or on none.",
        repair="Refused: which of the two places is right is not known.",
    ),
    WorldCheck(
        name="archived_state_orphaned",
        find="""
            SELECT o.kind, o.story_id, o.archived_in, count(*) AS rows FROM (
                SELECT 'fact' AS kind, story_id, archived_in FROM livingworld.facts
                WHERE world_id = :world_id AND archived_in IS NOT NULL
                UNION ALL
                SELECT 'relationship', story_id, archived_in FROM livingworld.relationship_changes
                WHERE world_id = :world_id AND archived_in IS NOT NULL
                UNION ALL
                SELECT 'memory', story_id, archived_in FROM livingworld.memories
                WHERE world_id = :world_id AND archived_in IS NOT NULL
            ) o
            WHERE NOT EXISTS (
                SELECT FROM livingworld.generations g
                WHERE g.world_id = :world_id AND g.generation_id = o.archived_in AND g.story_id = o.story_id
            )
            GROUP BY o.kind, o.story_id, o.archived_in
        """,
        wrong="State is archived with a generation that does not exist.",
        meaning="No alternative brings the state back.",
        repair="Refused: it would remove text. Restore the generation from a backup.",
    ),
)

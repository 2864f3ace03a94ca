"""What may be wrong with scripts and AI models."""

from __future__ import annotations

from typing import Final

from livingworld.doctor.world_check import ROLE, SCRIPT, WorldCheck

MODEL_CHECKS: Final = (
    WorldCheck(
        name="script_counters",
        find="""
            SELECT s.name, s.last_version, s.activation, coalesce(v.version, 0) AS version,
                   coalesce(a.activation, 0) AS activations
            FROM livingworld.scripts s
            LEFT JOIN (
                SELECT name, max(version) AS version FROM livingworld.script_versions
                WHERE world_id = :world_id GROUP BY name
            ) v ON v.name = s.name
            LEFT JOIN (
                SELECT name, max(activation) AS activation FROM livingworld.script_activations
                WHERE world_id = :world_id GROUP BY name
            ) a ON a.name = s.name
            WHERE s.world_id = :world_id
                AND (s.last_version < v.version OR s.active_version IS NOT NULL AND s.activation < a.activation)
        """,
        wrong="A counter of a script is behind its versions or activations.",
        meaning="The next version or activation asks for a number that is taken, and fails each time.",
        repair="Sets the counters to the highest numbers that exist.",
        root=SCRIPT,
        statements=(
            """
            UPDATE livingworld.scripts s
            SET last_version = greatest(s.last_version, CAST(:version AS integer)),
                activation = CASE WHEN s.active_version IS NULL THEN s.activation
                             ELSE greatest(s.activation, CAST(:activations AS integer)) END
            WHERE s.world_id = :world_id AND s.name = :name
            """,
        ),
    ),
    WorldCheck(
        name="scripts_active_nowhere",
        find="""
            SELECT s.name, s.active_version FROM livingworld.scripts s
            WHERE s.world_id = :world_id AND s.active_version IS NOT NULL AND NOT EXISTS (
                SELECT FROM livingworld.script_versions v
                WHERE v.world_id = :world_id AND v.name = s.name AND v.version = s.active_version
            )
        """,
        wrong="The active version of a script does not exist.",
        meaning="Every use of the script fails.",
        repair="Refused: which version is to run is a choice. Use `world.scripts.activate`.",
    ),
    WorldCheck(
        name="script_digests",
        find="""
            SELECT v.name, v.version FROM livingworld.script_versions v
            WHERE v.world_id = :world_id AND v.digest <> encode(sha256(
                convert_to(v.kind, 'UTF8') || decode('00', 'hex') || convert_to(v.body, 'UTF8')
            ), 'hex')
        """,
        wrong="The digest of a version of a script is not that of its text.",
        meaning="What runs is not what was validated.",
        repair="Refused: whether the text or the digest is right is not known. Publish the script again.",
    ),
    WorldCheck(
        name="executions_expired",
        find="""
            SELECT e.name, e.version, count(*) AS executions FROM livingworld.script_executions e
            WHERE e.world_id = :world_id AND e.expires_at < now() - interval '1 hour' GROUP BY e.name, e.version
        """,
        wrong="A process that died an hour ago is still listed as running a version of a script.",
        meaning="It no longer counts; lists of what runs where show it.",
        repair="Removes the rows.",
        root=SCRIPT,
        statements=(
            """
            DELETE FROM livingworld.script_executions e
            WHERE e.world_id = :world_id AND e.name = :name AND e.version = :version
                AND e.expires_at < now() - interval '1 hour'
            """,
        ),
    ),
    WorldCheck(
        name="model_counters",
        find="""
            SELECT r.role, r.last_version, r.activations, max(m.version) AS version,
                   coalesce(max(m.activation), 0) AS activation
            FROM livingworld.ai_model_roles r
            JOIN livingworld.ai_models m ON m.world_id = :world_id AND m.role = r.role
            WHERE r.world_id = :world_id GROUP BY r.role, r.last_version, r.activations
            HAVING max(m.version) > r.last_version OR max(m.activation) > r.activations
        """,
        wrong="A counter of a model's role is behind its versions or activations.",
        meaning="The next model of the role asks for a number that is taken, and fails each time.",
        repair="Sets the counters to the highest numbers that exist.",
        root=ROLE,
        statements=(
            """
            UPDATE livingworld.ai_model_roles r
            SET last_version = greatest(r.last_version, CAST(:version AS integer)),
                activations = greatest(r.activations, CAST(:activation AS integer))
            WHERE r.world_id = :world_id AND r.role = :role
            """,
        ),
    ),
)

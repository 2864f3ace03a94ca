"""What may be wrong with memories and their vectors."""

from __future__ import annotations

from typing import Final

from livingworld.doctor.world_check import EMBEDDER, WorldCheck

MEMORY_CHECKS: Final = (
    WorldCheck(
        name="memory_digests",
        find="""
            SELECT m.story_id, m.memory_id FROM livingworld.memories m
            WHERE m.world_id = :world_id AND m.digest <> sha256(convert_to(m.content, 'UTF8'))
        """,
        wrong="The digest of a memory is not that of its text.",
        meaning="The text was changed outside the library, or the disk has changed it; it may be remembered twice.",
        repair="Refused: whether the text or the digest is right is not known. Compare the text with a backup.",
    ),
    WorldCheck(
        name="vectors_of_wrong_size",
        find="""
            SELECT v.memory_id, v.embedder, cardinality(v.vector) AS numbers
            FROM livingworld.memory_embedders e
            JOIN livingworld.memory_vectors v ON v.world_id = :world_id
                AND cardinality(v.vector) <> CASE v.embedder WHEN e.embedder THEN e.dimensions
                                             WHEN e.next_embedder THEN e.next_dimensions END
            WHERE e.world_id = :world_id
        """,
        wrong="A vector of a memory has another size than the world's embedder makes.",
        meaning="Recall by a vector fails, or passes the memory over.",
        repair="Removes the vector and queues the memory to be embedded again.",
        root=EMBEDDER,
        statements=(
            """
            DELETE FROM livingworld.memory_vectors v
            WHERE v.world_id = :world_id AND v.memory_id = :memory_id AND v.embedder = :embedder
            """,
            """
            INSERT INTO livingworld.memory_embedding_jobs (world_id, embedder, memory_id)
            VALUES (:world_id, :embedder, :memory_id) ON CONFLICT DO NOTHING
            """,
        ),
    ),
    WorldCheck(
        name="vectors_missing",
        find="""
            SELECT m.memory_id, e.embedder, ARRAY(
                SELECT o.embedder FROM livingworld.memory_vectors o
                WHERE o.world_id = :world_id AND o.memory_id = m.memory_id
            )::text AS has
            FROM (
                SELECT embedder FROM livingworld.memory_embedders WHERE world_id = :world_id
                UNION SELECT next_embedder FROM livingworld.memory_embedders WHERE world_id = :world_id
            ) e
            JOIN livingworld.memories m ON m.world_id = :world_id
            WHERE e.embedder IS NOT NULL AND NOT EXISTS (
                SELECT FROM livingworld.memory_vectors v
                WHERE v.world_id = :world_id AND v.memory_id = m.memory_id AND v.embedder = e.embedder
            ) AND NOT EXISTS (
                SELECT FROM livingworld.memory_embedding_jobs j
                WHERE j.world_id = :world_id AND j.memory_id = m.memory_id AND j.embedder = e.embedder
            )
        """,
        wrong="A memory has no vector of the world's embedder, or only another model's, and is not queued for one.",
        meaning="Recall by a vector never finds the memory.",
        repair="Queues the memory to be embedded.",
        root=EMBEDDER,
        statements=(
            """
            INSERT INTO livingworld.memory_embedding_jobs (world_id, embedder, memory_id)
            VALUES (:world_id, :embedder, :memory_id) ON CONFLICT DO NOTHING
            """,
        ),
    ),
)

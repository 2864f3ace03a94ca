"""What is stored of memories: the texts at their coordinates, their vectors, and what is still to be embedded."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    DDL,
    REAL,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from livingworld.inputs import MAX_DESCRIPTION_CHARACTERS, MAX_LABEL_CHARACTERS
from livingworld.models.embeddings.vectors import MAX_DIMENSIONS
from livingworld.postgres.metadata import SCHEMA, metadata, time_columns, version_column, world_id_column

_TIMELINE = ("world_id", "story_id", "timeline_number")


def _to_memory(column: str, **options: Any) -> ForeignKeyConstraint:  # noqa: ANN401 - of the constraint
    referred = [f"{SCHEMA}.memories.{name}" for name in ("world_id", "memory_id")]
    return ForeignKeyConstraint(["world_id", column], referred, **options)


memories = Table(
    "memories",
    metadata,
    world_id_column(),
    Column("memory_id", Uuid(), primary_key=True),
    Column("story_id", Uuid(), nullable=False),
    #: The coordinate; position 0: before the first scene.
    Column("timeline_number", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    #: The scene at the coordinate; 0: before the first.
    Column("scene_number", Integer, nullable=False),
    #: Who remembers; NULL: the story itself.
    Column("character_id", Uuid()),
    Column("kind", Text, nullable=False),
    Column("content", Text, nullable=False),
    #: SHA-256 of the text.
    Column("digest", LargeBinary, nullable=False),
    #: Whether only the character may know it.
    Column("private", Boolean, nullable=False),
    Column("importance", Double, nullable=False),
    Column("valence", Double, nullable=False),
    #: The summary that stands for it where that is visible.
    Column("consolidated_into", Uuid()),
    #: Whether it stands for others.
    Column("is_summary", Boolean, nullable=False, server_default=text("false")),
    Column("forgotten_at", DateTime(timezone=True)),
    #: The generation that keeps it while another one is the scene; NULL: it is true.
    Column("archived_in", Uuid()),
    version_column(),
    *time_columns(),
    # The timeline belongs to the story, so this is the foreign key to the story too.
    ForeignKeyConstraint(_TIMELINE, [f"{SCHEMA}.timelines.{name}" for name in _TIMELINE], ondelete="CASCADE"),
    ForeignKeyConstraint(
        ["world_id", "character_id"],
        [f"{SCHEMA}.characters.{name}" for name in ("world_id", "character_id")],
        ondelete="CASCADE",
    ),
    # Deferrable for who restores a bundle, where a summary may come after what it stands for.
    _to_memory("consolidated_into", deferrable=True),
    CheckConstraint("position >= 0 AND (position = 0) = (scene_number = 0)", name="coordinate_fits"),
    CheckConstraint(f"char_length(kind) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="kind_length"),
    CheckConstraint(f"char_length(content) BETWEEN 1 AND {MAX_DESCRIPTION_CHARACTERS}", name="content_length"),
    CheckConstraint("octet_length(digest) = 32", name="digest_length"),
    CheckConstraint("importance BETWEEN 0 AND 1", name="importance_is_share"),
    CheckConstraint("valence BETWEEN -1 AND 1", name="valence_clamped"),
    CheckConstraint("consolidated_into <> memory_id", name="not_its_own_summary"),
    CheckConstraint("version > 0", name="version_positive"),
    CheckConstraint("NOT private OR character_id IS NOT NULL", name="private_of_a_character"),
)
# One text is remembered once by one at one coordinate; the digest stands second to find it by.
Index(
    "uq_memories_digest",
    memories.c.world_id,
    memories.c.digest,
    memories.c.story_id,
    memories.c.timeline_number,
    memories.c.position,
    memories.c.character_id,
    unique=True,
    postgresql_nulls_not_distinct=True,
    postgresql_where=memories.c.archived_in.is_(None),
)
# What hangs on a scene, and the path, in the order of their age.
Index(
    "ix_memories_coordinate",
    memories.c.world_id,
    memories.c.timeline_number,
    memories.c.story_id,
    memories.c.position,
    memories.c.memory_id,
)
Index(
    "ix_memories_archived_in",
    memories.c.world_id,
    memories.c.archived_in,
    postgresql_where=memories.c.archived_in.is_not(None),
)
# The summaries of a path, which stay in the context of its turns.
Index(
    "ix_memories_summaries",
    memories.c.world_id,
    memories.c.story_id,
    memories.c.timeline_number,
    memories.c.position,
    memories.c.memory_id,
    postgresql_where=memories.c.is_summary,
)
Index("ix_memories_words", func.to_tsvector(text("'simple'"), memories.c.content), postgresql_using="gin")
# For the foreign keys.
Index(
    "ix_memories_consolidated_into",
    memories.c.world_id,
    memories.c.consolidated_into,
    postgresql_where=memories.c.consolidated_into.is_not(None),
)
# Also the list of what one character remembers of a story.
Index("ix_memories_character", memories.c.world_id, memories.c.character_id, memories.c.story_id, memories.c.memory_id)
# The list of a story's memories. Partial on what is true of each: it serves only that list.
Index(
    "ix_memories_story",
    memories.c.world_id,
    memories.c.story_id,
    memories.c.memory_id,
    postgresql_where=memories.c.position >= 0,
)

memory_vectors = Table(
    "memory_vectors",
    metadata,
    world_id_column(),
    Column("memory_id", Uuid(), primary_key=True),
    #: Which model made it; vectors of two models are never compared.
    Column("embedder", Text, primary_key=True),
    #: Of length 1, so that the inner product is the cosine.
    Column("vector", ARRAY(REAL), nullable=False),
    _to_memory("memory_id", ondelete="CASCADE"),
    CheckConstraint(f"cardinality(vector) BETWEEN 1 AND {MAX_DIMENSIONS}", name="dimensions_bounded"),
)
# Vectors of up to 2,000 numbers stay in their rows: fetching one from elsewhere costs more than comparing it.
_IN_ROWS = DDL(f"ALTER TABLE {SCHEMA}.memory_vectors SET (toast_tuple_target = 8160)")  # type: ignore[no-untyped-call]
event.listen(memory_vectors, "after_create", _IN_ROWS)

memory_embedders = Table(
    "memory_embedders",
    metadata,
    world_id_column(),
    #: Whose vectors recall compares; NULL: none are complete yet.
    Column("embedder", Text),
    Column("dimensions", Integer),
    #: Whose vectors are being made, and which takes over when all are there.
    Column("next_embedder", Text),
    Column("next_dimensions", Integer),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint("(embedder IS NULL) = (dimensions IS NULL)", name="embedder_whole"),
    CheckConstraint("(next_embedder IS NULL) = (next_dimensions IS NULL)", name="next_embedder_whole"),
    CheckConstraint("embedder <> next_embedder", name="next_is_another"),
)

memory_embedding_jobs = Table(
    "memory_embedding_jobs",
    metadata,
    world_id_column(),
    Column("embedder", Text, primary_key=True),
    Column("memory_id", Uuid(), primary_key=True),
    #: Raised with every claim: only the last one may finish the job.
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    #: Who has claimed it is to be done by then; afterwards anybody may claim it again.
    Column("claimed_until", DateTime(timezone=True)),
    Column("error", Text),
    _to_memory("memory_id", ondelete="CASCADE"),
)
# For the foreign key.
Index("ix_memory_embedding_jobs_memory", memory_embedding_jobs.c.world_id, memory_embedding_jobs.c.memory_id)

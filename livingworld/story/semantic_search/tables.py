"""Vectors of scenes and of characters, by which they are found by meaning."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    DDL,
    REAL,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    event,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.schema import SchemaItem

from livingworld.inputs import MAX_LABEL_CHARACTERS
from livingworld.models.embeddings.vectors import MAX_DIMENSIONS
from livingworld.postgres.metadata import SCHEMA, metadata, world_id_column

_SCENE: Final = ("world_id", "story_id", "scene_number")
_CHARACTER: Final = ("world_id", "character_id")


def _vector_columns() -> tuple[SchemaItem, ...]:
    return (
        #: Which model made it; vectors of two models are never compared.
        Column("embedder", Text, primary_key=True),
        #: Of the text that it was made of.
        Column("version", Integer, nullable=False),
        #: Of length 1, so that the inner product is the cosine.
        Column("vector", ARRAY(REAL), nullable=False),
        CheckConstraint(f"char_length(embedder) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="embedder_length"),
        CheckConstraint(f"cardinality(vector) BETWEEN 1 AND {MAX_DIMENSIONS}", name="dimensions_bounded"),
        CheckConstraint("version > 0", name="version_positive"),
    )


scene_vectors = Table(
    "scene_vectors",
    metadata,
    world_id_column(),
    Column("story_id", Uuid(), primary_key=True),
    Column("scene_number", Integer, primary_key=True),
    *_vector_columns(),
    ForeignKeyConstraint(_SCENE, [f"{SCHEMA}.scenes.{name}" for name in _SCENE], ondelete="CASCADE"),
)
character_vectors = Table(
    "character_vectors",
    metadata,
    world_id_column(),
    Column("character_id", Uuid(), primary_key=True),
    *_vector_columns(),
    ForeignKeyConstraint(_CHARACTER, [f"{SCHEMA}.characters.{name}" for name in _CHARACTER], ondelete="CASCADE"),
)
# Which scenes lack a vector is asked of this index and not of the rows, which hold the vectors.
Index(
    "ix_scene_vectors_versions",
    scene_vectors.c.world_id,
    scene_vectors.c.embedder,
    scene_vectors.c.story_id,
    scene_vectors.c.scene_number,
    postgresql_include=["version"],
)
# Vectors of up to 2,000 numbers stay in their rows, as those of memories.
_SCENES_IN_ROWS = DDL(f"ALTER TABLE {SCHEMA}.scene_vectors SET (toast_tuple_target = 8160)")  # type: ignore[no-untyped-call]
_CHARACTERS_IN_ROWS = DDL(f"ALTER TABLE {SCHEMA}.character_vectors SET (toast_tuple_target = 8160)")  # type: ignore[no-untyped-call]
event.listen(scene_vectors, "after_create", _SCENES_IN_ROWS)
event.listen(character_vectors, "after_create", _CHARACTERS_IN_ROWS)

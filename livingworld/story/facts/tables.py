"""What is stored of facts: the counter of each, and every value at the coordinate where it became true."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.inputs import MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import SCHEMA, metadata, world_id_column

_FACT = ("world_id", "story_id", "subject", "attribute")

fact_names = Table(
    "fact_names",
    metadata,
    world_id_column(),
    Column("story_id", Uuid(), primary_key=True),
    #: A character's id, or = and a word.
    Column("subject", Text, primary_key=True),
    Column("attribute", Text, primary_key=True),
    #: The counter of versions, over all paths: raised by the statement that uses the number.
    Column("last_version", Integer, nullable=False),
    ForeignKeyConstraint(
        ["world_id", "story_id"], [f"{SCHEMA}.stories.{name}" for name in ("world_id", "story_id")], ondelete="CASCADE"
    ),
    CheckConstraint(
        f"char_length(subject) BETWEEN 2 AND {MAX_LABEL_CHARACTERS + 1}"
        " AND (left(subject, 1) = '=' OR char_length(subject) = 36)",
        name="subject_is_character_or_word",
    ),
    CheckConstraint(f"char_length(attribute) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="attribute_length"),
    CheckConstraint("last_version >= 1", name="last_version_positive"),
)

facts = Table(
    "facts",
    metadata,
    world_id_column(),
    Column("story_id", Uuid(), primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("attribute", Text, primary_key=True),
    #: The coordinate; position 0: before the first scene.
    Column("timeline_number", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    #: The scene at the coordinate; 0: before the first.
    Column("scene_number", Integer, nullable=False),
    #: SQL NULL: retracted. JSON null is a value.
    Column("value", JSONB(none_as_null=True)),
    #: The generation that keeps it while another one is the scene; NULL: it is true.
    Column("archived_in", Uuid()),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(_FACT, [f"{SCHEMA}.fact_names.{name}" for name in _FACT], ondelete="CASCADE"),
    CheckConstraint("position >= 0 AND (position = 0) = (scene_number = 0)", name="coordinate_fits"),
    CheckConstraint("version >= 1", name="version_positive"),
    # No two values of a fact have one version, whatever path they are on. The version stands second, so that no
    # read of the values on a path uses the index.
    UniqueConstraint("world_id", "version", "story_id", "subject", "attribute", name="uq_facts_version"),
)
# What hangs on a scene. By its number: an index on the coordinate would look to the planner like the primary key.
Index("ix_facts_scene", facts.c.world_id, facts.c.scene_number, facts.c.story_id)
Index("ix_facts_archived_in", facts.c.world_id, facts.c.archived_in, postgresql_where=facts.c.archived_in.is_not(None))

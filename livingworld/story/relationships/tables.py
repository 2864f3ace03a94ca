"""What is stored of relationships: the counter of each, and every change at its coordinate with what it led to."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    false,
    func,
)

from livingworld.inputs import MAX_DESCRIPTION_CHARACTERS, MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import SCHEMA, metadata, world_id_column

_STORY = ("world_id", "story_id")
_PAIR = (*_STORY, "source_id", "target_id")


def _to_character(column: str) -> ForeignKeyConstraint:
    referred = [f"{SCHEMA}.characters.{name}" for name in ("world_id", "character_id")]
    return ForeignKeyConstraint(["world_id", column], referred, ondelete="CASCADE")


relationships = Table(
    "relationships",
    metadata,
    world_id_column(),
    Column("story_id", Uuid(), primary_key=True),
    #: Who feels.
    Column("source_id", Uuid(), primary_key=True),
    #: The character that it is felt toward.
    Column("target_id", Uuid(), primary_key=True),
    #: The counter of changes, over all paths: raised by the statement that uses the number.
    Column("last_version", Integer, nullable=False),
    ForeignKeyConstraint(_STORY, [f"{SCHEMA}.stories.{name}" for name in _STORY], ondelete="CASCADE"),
    _to_character("source_id"),
    _to_character("target_id"),
    CheckConstraint("source_id <> target_id", name="two_characters"),
    CheckConstraint("last_version >= 1", name="last_version_positive"),
)
# For the characters, when one is purged.
Index("ix_relationships_source", relationships.c.world_id, relationships.c.source_id)
Index("ix_relationships_target", relationships.c.world_id, relationships.c.target_id)

relationship_changes = Table(
    "relationship_changes",
    metadata,
    world_id_column(),
    Column("story_id", Uuid(), primary_key=True),
    Column("source_id", Uuid(), primary_key=True),
    Column("target_id", Uuid(), primary_key=True),
    #: The coordinate; position 0: before the first scene.
    Column("timeline_number", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    #: The scene at the coordinate; 0: before the first.
    Column("scene_number", Integer, nullable=False),
    #: What was asked for.
    Column("sentiment_delta", Double, nullable=False),
    Column("trust_delta", Double, nullable=False),
    Column("familiarity_delta", Double, nullable=False),
    Column("reason", Text),
    #: What it led to on the path, clamped: the sum of the changes before it and of this one.
    Column("sentiment", Double, nullable=False),
    Column("trust", Double, nullable=False),
    Column("familiarity", Double, nullable=False),
    #: Whether it counts only where no change comes before it.
    Column("is_first", Boolean, nullable=False, server_default=false()),
    #: Given by this change; NULL: the one before stays; an empty text: there is none any more.
    Column("kind_given", Text),
    Column("kind", Text),
    Column("notes_given", Text),
    Column("notes", Text),
    #: How many changes the path has up to this one.
    Column("changes", Integer, nullable=False),
    #: The generation that keeps it while another one is the scene; NULL: it is true.
    Column("archived_in", Uuid()),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(_PAIR, [f"{SCHEMA}.relationships.{name}" for name in _PAIR], ondelete="CASCADE"),
    CheckConstraint("sentiment BETWEEN -1 AND 1", name="sentiment_clamped"),
    CheckConstraint("trust BETWEEN -1 AND 1", name="trust_clamped"),
    CheckConstraint("familiarity BETWEEN 0 AND 1", name="familiarity_clamped"),
    CheckConstraint(
        "least(sentiment_delta, trust_delta, familiarity_delta) >= -2"
        " AND greatest(sentiment_delta, trust_delta, familiarity_delta) <= 2",
        name="deltas_bounded",
    ),
    CheckConstraint("position >= 0 AND (position = 0) = (scene_number = 0)", name="coordinate_fits"),
    CheckConstraint("version >= 1 AND changes >= 0", name="counts_fit"),
    CheckConstraint(f"char_length(kind_given) <= {MAX_LABEL_CHARACTERS}", name="kind_length"),
    CheckConstraint(f"char_length(notes_given) <= {MAX_DESCRIPTION_CHARACTERS}", name="notes_length"),
    CheckConstraint(f"char_length(reason) <= {MAX_DESCRIPTION_CHARACTERS}", name="reason_length"),
    # No two changes of a relationship have one version, whatever path they are on. The version stands second, so that
    # no read of the changes on a path uses the index.
    UniqueConstraint(
        "world_id", "version", "story_id", "source_id", "target_id", name="uq_relationship_changes_version"
    ),
)
# What hangs on a scene. By its number: an index on the coordinate would look to the planner like the primary key.
Index(
    "ix_relationship_changes_scene",
    relationship_changes.c.world_id,
    relationship_changes.c.scene_number,
    relationship_changes.c.story_id,
)
Index(
    "ix_relationship_changes_archived_in",
    relationship_changes.c.world_id,
    relationship_changes.c.archived_in,
    postgresql_where=relationship_changes.c.archived_in.is_not(None),
)

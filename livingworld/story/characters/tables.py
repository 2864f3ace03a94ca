"""Tables of characters and of every name that points to one."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKeyConstraint, Index, Table, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.postgres.metadata import (
    SCHEMA,
    key_columns,
    metadata,
    time_columns,
    unique_key,
    version_column,
    world_id_column,
)
from livingworld.story.characters.name_key import MAX_KEY_CHARACTERS, MAX_NAME_CHARACTERS

characters = Table(
    "characters",
    metadata,
    world_id_column(),
    Column("character_id", Uuid(), primary_key=True),
    *key_columns(),
    #: The name as it was first written, or as it was last changed; shown, never compared.
    Column("name", Text, nullable=False),
    Column("card", JSONB, nullable=False, server_default=text("'{}'")),
    version_column(),
    *time_columns(),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(name) BETWEEN 1 AND {MAX_NAME_CHARACTERS}", name="name_length"),
    CheckConstraint("version > 0", name="version_positive"),
)
unique_key(characters)
Index("ix_characters_world_id_created_at", characters.c.world_id, characters.c.created_at, characters.c.character_id)

character_names = Table(
    "character_names",
    metadata,
    world_id_column(),
    #: The canonical key (story/characters/name_key.py): no two characters of a world have one name.
    Column("name_key", Text, primary_key=True),
    Column("character_id", Uuid(), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(
        ["world_id", "character_id"],
        [f"{SCHEMA}.characters.{name}" for name in ("world_id", "character_id")],
        ondelete="CASCADE",
    ),
    CheckConstraint(f"char_length(name) BETWEEN 1 AND {MAX_NAME_CHARACTERS}", name="name_length"),
    CheckConstraint(f"char_length(name_key) BETWEEN 1 AND {MAX_KEY_CHARACTERS}", name="name_key_length"),
)
Index("ix_character_names_character", character_names.c.world_id, character_names.c.character_id)

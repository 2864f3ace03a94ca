"""The table of worlds."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, DateTime, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.inputs import MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import metadata, time_columns, version_column, world_id_column

worlds = Table(
    "worlds",
    metadata,
    world_id_column(),
    Column("name", Text, nullable=False),
    #: The owner of the world; opaque to livingworld.
    Column("tenant", Text),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'")),
    version_column(),
    *time_columns(),
    Column("archived_at", DateTime(timezone=True)),
    CheckConstraint(f"char_length(name) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="name_length"),
    CheckConstraint("version > 0", name="version_positive"),
)

# The list of worlds is the one query without a world: newest first, of one tenant or of all.
Index("ix_worlds_created_at", worlds.c.created_at, worlds.c.world_id)
Index("ix_worlds_tenant", worlds.c.tenant, worlds.c.created_at, worlds.c.world_id)

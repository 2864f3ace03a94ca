"""The table of worlds."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, DateTime, Index, LargeBinary, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.inputs import MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import key_columns, metadata, time_columns, version_column, world_id_column

worlds = Table(
    "worlds",
    metadata,
    world_id_column(),
    *key_columns(),
    Column("name", Text, nullable=False),
    #: The owner of the world; opaque to livingworld.
    Column("tenant", Text),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'")),
    version_column(),
    *time_columns(),
    Column("archived_at", DateTime(timezone=True)),
    #: The request that made it, and the digest of its arguments: no world was there that could have kept them.
    Column("request_key", Text),
    Column("request_hash", LargeBinary),
    CheckConstraint(f"char_length(name) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="name_length"),
    CheckConstraint("version > 0", name="version_positive"),
    CheckConstraint(f"char_length(request_key) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="request_key_length"),
    CheckConstraint("(request_key IS NULL) = (request_hash IS NULL)", name="request_is_whole"),
)

# What finds a world, or makes one, does not know its id yet: these keys are those of the whole database.
Index("uq_worlds_key", worlds.c.key, unique=True, postgresql_where=worlds.c.key.is_not(None))
Index("uq_worlds_request_key", worlds.c.request_key, unique=True, postgresql_where=worlds.c.request_key.is_not(None))

# The list of worlds is the one query without a world: newest first, of one tenant or of all.
Index("ix_worlds_created_at", worlds.c.created_at, worlds.c.world_id)
Index("ix_worlds_tenant", worlds.c.tenant, worlds.c.created_at, worlds.c.world_id)

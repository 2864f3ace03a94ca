"""What is stored of leases."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKeyConstraint, Table, Text, Uuid

from livingworld.inputs import MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import SCHEMA, metadata, world_id_column

leases = Table(
    "leases",
    metadata,
    world_id_column(),
    Column("name", Text, primary_key=True),
    #: Rises with every holding; a write that proves itself by an older one is refused.
    Column("token", BigInteger, nullable=False),
    #: One holding. NULL: it is free.
    Column("owner", Uuid()),
    Column("expires_at", DateTime(timezone=True)),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(name) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="name_length"),
    CheckConstraint("token >= 1", name="token_positive"),
    CheckConstraint("(owner IS NULL) = (expires_at IS NULL)", name="held_wholly_or_not"),
)

"""What is stored of a document: its value as it is now, and every version it ever had.

A deleted document keeps its row, so that its next version is one that it never had.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKeyConstraint, Integer, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.inputs import MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import SCHEMA, metadata, time_columns, version_column, world_id_column


def _key_column() -> Column[str]:
    """Return the column of keys: in the order of code points everywhere, so that a prefix is one range of the index."""
    return Column("key", Text(collation="C"), primary_key=True)


documents = Table(
    "documents",
    metadata,
    world_id_column(),
    _key_column(),
    #: Any JSON value, and JSON's null is one; SQL's NULL is that of a deleted document.
    Column("value", JSONB(none_as_null=False)),
    version_column(),
    *time_columns(),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(key) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="key_length"),
    CheckConstraint("version > 0", name="version_positive"),
)

document_versions = Table(
    "document_versions",
    metadata,
    world_id_column(),
    _key_column(),
    #: Every one since the first, the current one among them; written by the statement that wrote the document.
    Column("version", Integer, primary_key=True, autoincrement=False),
    #: SQL's NULL: with this version the document was deleted.
    Column("value", JSONB(none_as_null=False)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(
        ["world_id", "key"], [f"{SCHEMA}.documents.{name}" for name in ("world_id", "key")], ondelete="CASCADE"
    ),
    CheckConstraint("version > 0", name="version_positive"),
)

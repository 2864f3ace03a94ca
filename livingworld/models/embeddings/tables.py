"""What is stored of embeddings: vectors that were computed once, by the digest of their text."""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY

from livingworld.inputs import MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import SCHEMA, metadata, world_id_column

embedding_cache = Table(
    "embedding_cache",
    metadata,
    world_id_column(),
    #: Name of the model.
    Column("embedder", Text, primary_key=True),
    #: Of the text and the number of dimensions (models/embeddings/cache.py).
    Column("digest", LargeBinary, primary_key=True),
    Column("dimensions", Integer, nullable=False),
    Column("vector", ARRAY(REAL), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(embedder) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="embedder_length"),
    CheckConstraint("octet_length(digest) = 32", name="digest_length"),
    CheckConstraint("dimensions > 0 AND cardinality(vector) = dimensions", name="vector_fits"),
    CheckConstraint(
        "array_position(vector, NULL) IS NULL AND 'NaN' <> ALL (vector)"
        " AND 'Infinity' <> ALL (vector) AND '-Infinity' <> ALL (vector)",
        name="vector_finite",
    ),
)
# What is removed when it is old.
Index("ix_embedding_cache_created_at", embedding_cache.c.world_id, embedding_cache.c.created_at)

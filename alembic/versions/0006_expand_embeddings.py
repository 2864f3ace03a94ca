"""Embeddings: the vectors that were computed once.

Revision: 0006
Revises: 0005
Created: 2026-11-21
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"


def upgrade() -> None:
    op.create_table(
        "embedding_cache",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("embedder", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=False),
        sa.Column("vector", postgresql.ARRAY(sa.REAL()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("char_length(embedder) BETWEEN 1 AND 500", name=op.f("ck_embedding_cache_embedder_length")),
        sa.CheckConstraint("octet_length(digest) = 32", name=op.f("ck_embedding_cache_digest_length")),
        sa.CheckConstraint(
            "dimensions > 0 AND cardinality(vector) = dimensions", name=op.f("ck_embedding_cache_vector_fits")
        ),
        sa.CheckConstraint(
            "array_position(vector, NULL) IS NULL AND 'NaN' <> ALL (vector)"
            " AND 'Infinity' <> ALL (vector) AND '-Infinity' <> ALL (vector)",
            name=op.f("ck_embedding_cache_vector_finite"),
        ),
        sa.ForeignKeyConstraint(
            ["world_id"],
            [f"{SCHEMA}.worlds.world_id"],
            name=op.f("fk_embedding_cache_world_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "embedder", "digest", name=op.f("pk_embedding_cache")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("embedding_cache", schema=SCHEMA)

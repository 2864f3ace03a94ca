"""Documents: versioned state of a whole world, every version kept.

Revision: 0008
Revises: 0007
Created: 2026-11-21
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"


def upgrade() -> None:
    create_documents()
    create_document_versions()


def downgrade() -> None:
    op.drop_table("document_versions", schema=SCHEMA)
    op.drop_table("documents", schema=SCHEMA)


def create_documents() -> None:
    op.create_table(
        "documents",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("value", postgresql.JSONB(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("char_length(key) BETWEEN 1 AND 500", name=op.f("ck_documents_key_length")),
        sa.CheckConstraint("version > 0", name=op.f("ck_documents_version_positive")),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_documents_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", "key", name=op.f("pk_documents")),
        schema=SCHEMA,
    )


def create_document_versions() -> None:
    op.create_table(
        "document_versions",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_document_versions_version_positive")),
        sa.ForeignKeyConstraint(
            ["world_id", "key"],
            [f"{SCHEMA}.documents.world_id", f"{SCHEMA}.documents.key"],
            name=op.f("fk_document_versions_world_id_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "key", "version", name=op.f("pk_document_versions")),
        schema=SCHEMA,
    )

"""Lore, and the words of scenes, memories and lore.

Revision: 0007
Revises: 0006
Created: 2026-11-21
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"
ENTITIES = "ck_revisions_entity_known"
#: What is searched, by table.
WORDS = {
    "scenes": "to_tsvector('simple', left(content, 100000))",
    "memories": "to_tsvector('simple', content)",
    "lore_entries": "to_tsvector('simple', content)",
}


def upgrade() -> None:
    create_lore_entries()
    op.drop_constraint(op.f(ENTITIES), "revisions", schema=SCHEMA)
    op.create_check_constraint(
        op.f(ENTITIES), "revisions", "entity IN ('story', 'scene', 'character', 'lore')", schema=SCHEMA
    )
    for table, words in WORDS.items():
        op.create_index(f"ix_{table}_words", table, [sa.text(words)], schema=SCHEMA, postgresql_using="gin")


def downgrade() -> None:
    for table in WORDS:
        op.drop_index(f"ix_{table}_words", table, schema=SCHEMA)
    op.execute("DELETE FROM livingworld.revisions WHERE entity = 'lore'")
    op.drop_constraint(op.f(ENTITIES), "revisions", schema=SCHEMA)
    op.create_check_constraint(op.f(ENTITIES), "revisions", "entity IN ('story', 'scene', 'character')", schema=SCHEMA)
    op.drop_table("lore_entries", schema=SCHEMA)


def create_lore_entries() -> None:
    op.create_table(
        "lore_entries",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("lore_id", sa.Uuid(), nullable=False),
        sa.Column("book", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("keys", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("case_sensitive", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("raw", postgresql.JSONB(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("char_length(book) BETWEEN 1 AND 500", name=op.f("ck_lore_entries_book_length")),
        sa.CheckConstraint("char_length(content) <= 100000", name=op.f("ck_lore_entries_content_length")),
        sa.CheckConstraint("char_length(title) <= 500", name=op.f("ck_lore_entries_title_length")),
        sa.CheckConstraint("version > 0", name=op.f("ck_lore_entries_version_positive")),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_lore_entries_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", "lore_id", name=op.f("pk_lore_entries")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_lore_entries_book",
        "lore_entries",
        ["world_id", "book", "position", "lore_id"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("removed_at IS NULL"),
    )

"""Relationships: every change at its coordinate, with what it led to.

Revision: 0004
Revises: 0003
Created: 2026-11-21
"""

from __future__ import annotations

from importlib.resources import files

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"
#: In an order in which each finds those that it calls.
FUNCTIONS = (
    "story/relationships/sql/last_relationship_v1",
    "story/relationships/sql/refold_relationship_v1",
    "story/relationships/sql/write_relationships_v1",
    "story/relationships/sql/visible_relationships_v1",
)
TABLES = (
    "relationships",
    "relationship_changes",
)


def upgrade() -> None:
    create_relationships()
    create_relationship_changes()
    # One statement for one execute: a driver that prepares statements takes no two, and Citus none.
    for function in FUNCTIONS:
        op.execute(sa.text(files("livingworld").joinpath(f"{function}.sql").read_text().replace(":", "\\:")))


def downgrade() -> None:
    for function in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {SCHEMA}.{function.rpartition('/')[2]}")
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)


def create_relationships() -> None:
    op.create_table(
        "relationships",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False),
        sa.CheckConstraint("last_version >= 1", name=op.f("ck_relationships_last_version_positive")),
        sa.CheckConstraint("source_id <> target_id", name=op.f("ck_relationships_two_characters")),
        sa.ForeignKeyConstraint(
            ["world_id", "source_id"],
            [f"{SCHEMA}.characters.world_id", f"{SCHEMA}.characters.character_id"],
            name=op.f("fk_relationships_world_id_source_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id"],
            [f"{SCHEMA}.stories.world_id", f"{SCHEMA}.stories.story_id"],
            name=op.f("fk_relationships_world_id_story_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "target_id"],
            [f"{SCHEMA}.characters.world_id", f"{SCHEMA}.characters.character_id"],
            name=op.f("fk_relationships_world_id_target_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "story_id", "source_id", "target_id", name=op.f("pk_relationships")),
        schema=SCHEMA,
    )
    op.create_index("ix_relationships_source", "relationships", ["world_id", "source_id"], unique=False, schema=SCHEMA)
    op.create_index("ix_relationships_target", "relationships", ["world_id", "target_id"], unique=False, schema=SCHEMA)


def create_relationship_changes() -> None:
    op.create_table(
        "relationship_changes",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("timeline_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("scene_number", sa.Integer(), nullable=False),
        sa.Column("sentiment_delta", sa.Double(), nullable=False),
        sa.Column("trust_delta", sa.Double(), nullable=False),
        sa.Column("familiarity_delta", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("sentiment", sa.Double(), nullable=False),
        sa.Column("trust", sa.Double(), nullable=False),
        sa.Column("familiarity", sa.Double(), nullable=False),
        sa.Column("kind_given", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("shelved_in", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("char_length(kind_given) <= 500", name=op.f("ck_relationship_changes_kind_length")),
        sa.CheckConstraint("char_length(reason) <= 100000", name=op.f("ck_relationship_changes_reason_length")),
        sa.CheckConstraint("familiarity BETWEEN 0 AND 1", name=op.f("ck_relationship_changes_familiarity_clamped")),
        sa.CheckConstraint(
            "least(sentiment_delta, trust_delta, familiarity_delta) >= -2"
            " AND greatest(sentiment_delta, trust_delta, familiarity_delta) <= 2",
            name=op.f("ck_relationship_changes_deltas_bounded"),
        ),
        sa.CheckConstraint(
            "position >= 0 AND (position = 0) = (scene_number = 0)",
            name=op.f("ck_relationship_changes_coordinate_fits"),
        ),
        sa.CheckConstraint("sentiment BETWEEN -1 AND 1", name=op.f("ck_relationship_changes_sentiment_clamped")),
        sa.CheckConstraint("trust BETWEEN -1 AND 1", name=op.f("ck_relationship_changes_trust_clamped")),
        sa.CheckConstraint("version >= 1 AND changes >= 0", name=op.f("ck_relationship_changes_counts_fit")),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "source_id", "target_id"],
            [
                f"{SCHEMA}.relationships.world_id",
                f"{SCHEMA}.relationships.story_id",
                f"{SCHEMA}.relationships.source_id",
                f"{SCHEMA}.relationships.target_id",
            ],
            name=op.f("fk_relationship_changes_world_id_story_id_source_id_target_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "world_id",
            "story_id",
            "source_id",
            "target_id",
            "timeline_number",
            "position",
            "version",
            name=op.f("pk_relationship_changes"),
        ),
        sa.UniqueConstraint(
            "world_id", "version", "story_id", "source_id", "target_id", name="uq_relationship_changes_version"
        ),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_relationship_changes_scene",
        "relationship_changes",
        ["world_id", "scene_number", "story_id"],
        unique=False,
        schema=SCHEMA,
    )
    op.create_index(
        "ix_relationship_changes_shelved_in",
        "relationship_changes",
        ["world_id", "shelved_in"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("shelved_in IS NOT NULL"),
    )

"""Facts: every value at the coordinate where it became true; where a story stands, and the path to there.

Revision: 0003
Revises: 0002
Created: 2026-11-21
"""

from __future__ import annotations

from importlib.resources import files

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"
#: In an order in which each finds those that it calls.
FUNCTIONS = (
    "story/stories/sql/path_pieces_v1",
    "story/stories/sql/story_place_v1",
    "story/facts/sql/write_facts_v1",
    "story/facts/sql/visible_facts_v1",
)
TABLES = (
    "fact_names",
    "facts",
)


def upgrade() -> None:
    create_fact_names()
    create_facts()
    # One statement for one execute: a driver that prepares statements takes no two, and Citus none.
    for function in FUNCTIONS:
        op.execute(sa.text(files("livingworld").joinpath(f"{function}.sql").read_text().replace(":", "\\:")))


def downgrade() -> None:
    for function in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {SCHEMA}.{function.rpartition('/')[2]}")
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)


def create_fact_names() -> None:
    op.create_table(
        "fact_names",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("attribute", sa.Text(), nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False),
        sa.CheckConstraint("char_length(attribute) BETWEEN 1 AND 500", name=op.f("ck_fact_names_attribute_length")),
        sa.CheckConstraint("char_length(subject) BETWEEN 1 AND 500", name=op.f("ck_fact_names_subject_length")),
        sa.CheckConstraint("last_version >= 1", name=op.f("ck_fact_names_last_version_positive")),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id"],
            [f"{SCHEMA}.stories.world_id", f"{SCHEMA}.stories.story_id"],
            name=op.f("fk_fact_names_world_id_story_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "story_id", "subject", "attribute", name=op.f("pk_fact_names")),
        schema=SCHEMA,
    )


def create_facts() -> None:
    op.create_table(
        "facts",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("attribute", sa.Text(), nullable=False),
        sa.Column("timeline_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("scene_number", sa.Integer(), nullable=False),
        sa.Column("value", postgresql.JSONB(), nullable=True),
        sa.Column("shelved_in", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "position >= 0 AND (position = 0) = (scene_number = 0)", name=op.f("ck_facts_coordinate_fits")
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_facts_version_positive")),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "subject", "attribute"],
            [
                f"{SCHEMA}.fact_names.world_id",
                f"{SCHEMA}.fact_names.story_id",
                f"{SCHEMA}.fact_names.subject",
                f"{SCHEMA}.fact_names.attribute",
            ],
            name=op.f("fk_facts_world_id_story_id_subject_attribute"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "world_id",
            "story_id",
            "subject",
            "attribute",
            "timeline_number",
            "position",
            "version",
            name=op.f("pk_facts"),
        ),
        sa.UniqueConstraint("world_id", "version", "story_id", "subject", "attribute", name="uq_facts_version"),
        schema=SCHEMA,
    )
    op.create_index("ix_facts_scene", "facts", ["world_id", "scene_number", "story_id"], unique=False, schema=SCHEMA)
    op.create_index(
        "ix_facts_shelved_in",
        "facts",
        ["world_id", "shelved_in"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("shelved_in IS NOT NULL"),
    )

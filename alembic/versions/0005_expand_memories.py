"""Memories, their vectors, what is to be embedded; and the state that a turn's scene brings or gives up.

Revision: 0005
Revises: 0004
Created: 2026-11-21
"""

from __future__ import annotations

from importlib.resources import files

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"
#: In an order in which each finds those that it calls.
FUNCTIONS = (
    "story/memories/sql/write_memories_v1",
    "story/memories/sql/visible_memories_v1",
    "story/turns/sql/shelve_state_v1",
    "story/turns/sql/unshelve_state_v1",
    "story/characters/sql/named_characters_v1",
    "story/turns/sql/commit_turn_with_state_v1",
)
TABLES = (
    "memories",
    "memory_vectors",
    "memory_embedders",
    "memory_embedding_jobs",
)


def upgrade() -> None:
    create_memories()
    create_memory_vectors()
    create_memory_embedders()
    create_memory_embedding_jobs()
    # One statement for one execute: a driver that prepares statements takes no two, and Citus none.
    for function in FUNCTIONS:
        op.execute(sa.text(files("livingworld").joinpath(f"{function}.sql").read_text().replace(":", "\\:")))


def downgrade() -> None:
    # Made by livingworld.story.memories.vector_similarity.
    op.execute(f"DROP FUNCTION IF EXISTS {SCHEMA}.vector_similarity")
    for function in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {SCHEMA}.{function.rpartition('/')[2]}")
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)


def create_memories() -> None:
    op.create_table(
        "memories",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("memory_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("timeline_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("scene_number", sa.Integer(), nullable=False),
        sa.Column("character_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("importance", sa.Double(), nullable=False),
        sa.Column("valence", sa.Double(), nullable=False),
        sa.Column("consolidated_into", sa.Uuid(), nullable=True),
        sa.Column("forgotten_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shelved_in", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("NOT private OR character_id IS NOT NULL", name=op.f("ck_memories_private_of_somebody")),
        sa.CheckConstraint("char_length(content) BETWEEN 1 AND 100000", name=op.f("ck_memories_content_length")),
        sa.CheckConstraint("char_length(kind) BETWEEN 1 AND 500", name=op.f("ck_memories_kind_length")),
        sa.CheckConstraint("consolidated_into <> memory_id", name=op.f("ck_memories_not_its_own_summary")),
        sa.CheckConstraint("importance BETWEEN 0 AND 1", name=op.f("ck_memories_importance_is_share")),
        sa.CheckConstraint("octet_length(digest) = 32", name=op.f("ck_memories_digest_length")),
        sa.CheckConstraint(
            "position >= 0 AND (position = 0) = (scene_number = 0)", name=op.f("ck_memories_coordinate_fits")
        ),
        sa.CheckConstraint("valence BETWEEN -1 AND 1", name=op.f("ck_memories_valence_clamped")),
        sa.ForeignKeyConstraint(
            ["world_id", "character_id"],
            [f"{SCHEMA}.characters.world_id", f"{SCHEMA}.characters.character_id"],
            name=op.f("fk_memories_world_id_character_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "consolidated_into"],
            [f"{SCHEMA}.memories.world_id", f"{SCHEMA}.memories.memory_id"],
            name=op.f("fk_memories_world_id_consolidated_into"),
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "timeline_number"],
            [
                f"{SCHEMA}.timelines.world_id",
                f"{SCHEMA}.timelines.story_id",
                f"{SCHEMA}.timelines.timeline_number",
            ],
            name=op.f("fk_memories_world_id_story_id_timeline_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "memory_id", name=op.f("pk_memories")),
        schema=SCHEMA,
    )
    op.create_index("ix_memories_character", "memories", ["world_id", "character_id"], unique=False, schema=SCHEMA)
    op.create_index(
        "ix_memories_consolidated_into",
        "memories",
        ["world_id", "consolidated_into"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("consolidated_into IS NOT NULL"),
    )
    op.create_index(
        "ix_memories_coordinate",
        "memories",
        ["world_id", "timeline_number", "story_id", "position", "memory_id"],
        unique=False,
        schema=SCHEMA,
    )
    op.create_index(
        "ix_memories_shelved_in",
        "memories",
        ["world_id", "shelved_in"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("shelved_in IS NOT NULL"),
    )
    op.create_index(
        "uq_memories_digest",
        "memories",
        ["world_id", "digest", "story_id", "timeline_number", "position", "character_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("shelved_in IS NULL"),
    )


def create_memory_vectors() -> None:
    op.create_table(
        "memory_vectors",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("memory_id", sa.Uuid(), nullable=False),
        sa.Column("embedder", sa.Text(), nullable=False),
        sa.Column("vector", postgresql.ARRAY(sa.REAL()), nullable=False),
        sa.CheckConstraint(
            "cardinality(vector) BETWEEN 1 AND 16000", name=op.f("ck_memory_vectors_dimensions_bounded")
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "memory_id"],
            [f"{SCHEMA}.memories.world_id", f"{SCHEMA}.memories.memory_id"],
            name=op.f("fk_memory_vectors_world_id_memory_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "memory_id", "embedder", name=op.f("pk_memory_vectors")),
        schema=SCHEMA,
    )
    # Vectors of up to 2,000 numbers stay in their rows: fetching one from elsewhere costs more than comparing it.
    op.execute(f"ALTER TABLE {SCHEMA}.memory_vectors SET (toast_tuple_target = 8160)")


def create_memory_embedders() -> None:
    op.create_table(
        "memory_embedders",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("embedder", sa.Text(), nullable=True),
        sa.Column("dimensions", sa.Integer(), nullable=True),
        sa.Column("next_embedder", sa.Text(), nullable=True),
        sa.Column("next_dimensions", sa.Integer(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(embedder IS NULL) = (dimensions IS NULL)", name=op.f("ck_memory_embedders_embedder_whole")
        ),
        sa.CheckConstraint(
            "(next_embedder IS NULL) = (next_dimensions IS NULL)", name=op.f("ck_memory_embedders_next_embedder_whole")
        ),
        sa.CheckConstraint("embedder <> next_embedder", name=op.f("ck_memory_embedders_next_is_another")),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_memory_embedders_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", name=op.f("pk_memory_embedders")),
        schema=SCHEMA,
    )


def create_memory_embedding_jobs() -> None:
    op.create_table(
        "memory_embedding_jobs",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("embedder", sa.Text(), nullable=False),
        sa.Column("memory_id", sa.Uuid(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["world_id", "memory_id"],
            [f"{SCHEMA}.memories.world_id", f"{SCHEMA}.memories.memory_id"],
            name=op.f("fk_memory_embedding_jobs_world_id_memory_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "embedder", "memory_id", name=op.f("pk_memory_embedding_jobs")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_memory_embedding_jobs_memory",
        "memory_embedding_jobs",
        ["world_id", "memory_id"],
        unique=False,
        schema=SCHEMA,
    )

"""Turns: leases, waiters, turns and generations; and where redo leads.

Revision: 0002
Revises: 0001
Created: 2026-11-21
"""

from __future__ import annotations

from importlib.resources import files

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"
FUNCTIONS = (
    "story/turns/sql/turn_contexts_v1",
    "story/turns/sql/retold_place_v1",
    "story/turns/sql/request_standing_v1",
    "story/turns/sql/end_turn_v1",
    "story/turns/sql/leave_turn_v1",
    "story/turns/sql/answer_left_v1",
    "story/turns/sql/await_turn_v1",
    "story/turns/sql/take_turns_v1",
    "story/turns/sql/merge_turn_v1",
    "story/turns/sql/make_characters_v1",
    "story/turns/sql/choose_generation_v1",
    "story/turns/sql/commit_turns_v1",
)
TABLES = ("turn_leases", "turn_waiters", "turns", "generations")
REDO = ("redo_scene_number", "redo_timeline", "redo_position", "redo_version")


def upgrade() -> None:
    for column in REDO:
        op.add_column("branches", sa.Column(column, sa.Integer(), nullable=True), schema=SCHEMA)
    op.create_check_constraint(
        op.f("ck_branches_redo_is_one_place"), "branches", f"num_nulls({', '.join(REDO)}) IN (0, 4)", schema=SCHEMA
    )
    create_turn_leases()
    create_turn_waiters()
    create_turns()
    create_generations()
    # One statement for one execute: a driver that prepares statements takes no two, and Citus none.
    for function in FUNCTIONS:
        op.execute(sa.text(files("livingworld").joinpath(f"{function}.sql").read_text().replace(":", "\\:")))


def downgrade() -> None:
    for function in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {SCHEMA}.{function.rpartition('/')[2]}")
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)
    op.drop_constraint(op.f("ck_branches_redo_is_one_place"), "branches", schema=SCHEMA)
    for column in REDO:
        op.drop_column("branches", column, schema=SCHEMA)


def create_turn_leases() -> None:
    op.create_table(
        "turn_leases",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("branch_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("token", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=True),
        sa.Column("request_key", sa.Text(), nullable=True),
        sa.Column("branch_version", sa.Integer(), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_ticket", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "num_nulls(owner, request_key, branch_version, taken_at, expires_at) IN (0, 5)",
            name=op.f("ck_turn_leases_held_wholly_or_not"),
        ),
        sa.CheckConstraint("token >= 0", name=op.f("ck_turn_leases_token_natural")),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "branch_number"],
            [f"{SCHEMA}.branches.world_id", f"{SCHEMA}.branches.story_id", f"{SCHEMA}.branches.branch_number"],
            name=op.f("fk_turn_leases_world_id_story_id_branch_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "story_id", "branch_number", name=op.f("pk_turn_leases")),
        schema=SCHEMA,
    )


def create_turn_waiters() -> None:
    op.create_table(
        "turn_waiters",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("branch_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ticket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("mergeable", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("merges", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("choice", sa.Integer(), nullable=True),
        sa.Column("instruction", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("ticket > 0 OR NOT mergeable", name=op.f("ck_turn_waiters_follower_alone")),
        sa.CheckConstraint("ticket >= 0", name=op.f("ck_turn_waiters_ticket_natural")),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "branch_number"],
            [f"{SCHEMA}.branches.world_id", f"{SCHEMA}.branches.story_id", f"{SCHEMA}.branches.branch_number"],
            name=op.f("fk_turn_waiters_world_id_story_id_branch_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "world_id", "story_id", "branch_number", "ticket", "owner", name=op.f("pk_turn_waiters")
        ),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_turn_waiters_key", "turn_waiters", ["world_id", "request_key", "story_id"], unique=False, schema=SCHEMA
    )


def create_turns() -> None:
    op.create_table(
        "turns",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("branch_number", sa.Integer(), nullable=False),
        sa.Column("base_scene_number", sa.Integer(), nullable=True),
        sa.Column("choice", sa.Integer(), nullable=True),
        sa.Column("instruction", sa.Text(), nullable=True),
        sa.Column("origin_key", sa.Text(), nullable=False),
        sa.Column("regenerates", sa.Integer(), nullable=True),
        sa.Column("merged_into", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("scene_number", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "CASE state WHEN 'committed' THEN scene_number IS NOT NULL AND merged_into IS NULL"
            " WHEN 'merged' THEN scene_number IS NULL AND merged_into IS NOT NULL"
            " WHEN 'running' THEN num_nonnulls(scene_number, merged_into) = 0"
            " WHEN 'failed' THEN num_nonnulls(scene_number, merged_into) = 0"
            " WHEN 'replaced' THEN num_nonnulls(scene_number, merged_into) = 0 ELSE false END",
            name=op.f("ck_turns_state_fits"),
        ),
        sa.CheckConstraint("char_length(request_key) BETWEEN 1 AND 500", name=op.f("ck_turns_request_key_length")),
        sa.CheckConstraint("octet_length(request_hash) = 32", name=op.f("ck_turns_request_hash_length")),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id"],
            [f"{SCHEMA}.stories.world_id", f"{SCHEMA}.stories.story_id"],
            name=op.f("fk_turns_world_id_story_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "story_id", "request_key", name=op.f("pk_turns")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_turns_origin",
        "turns",
        ["world_id", "origin_key", "story_id"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("regenerates IS NOT NULL"),
    )
    op.create_index(
        "ix_turns_merged",
        "turns",
        ["world_id", "merged_into", "story_id"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )


def create_generations() -> None:
    op.create_table(
        "generations",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("scene_number", sa.Integer(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("script_version", sa.Text(), nullable=True),
        sa.Column("parameters", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("prompt_digest", sa.LargeBinary(), nullable=True),
        sa.Column("raw_response", sa.Text(), nullable=True),
        sa.Column("parsed", postgresql.JSONB(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "CASE state WHEN 'complete' THEN (parsed IS NULL) = (scene_number IS NOT NULL)"
            " WHEN 'answered' THEN scene_number IS NULL AND raw_response IS NOT NULL"
            " WHEN 'failed' THEN scene_number IS NULL ELSE false END",
            name=op.f("ck_generations_state_fits"),
        ),
        sa.CheckConstraint(
            "least(input_tokens, output_tokens, duration_ms) >= 0", name=op.f("ck_generations_counts_natural")
        ),
        sa.CheckConstraint(
            "prompt_digest IS NULL OR octet_length(prompt_digest) = 32",
            name=op.f("ck_generations_prompt_digest_length"),
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "request_key"],
            [f"{SCHEMA}.turns.world_id", f"{SCHEMA}.turns.story_id", f"{SCHEMA}.turns.request_key"],
            name=op.f("fk_generations_world_id_story_id_request_key"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "scene_number"],
            [f"{SCHEMA}.scenes.world_id", f"{SCHEMA}.scenes.story_id", f"{SCHEMA}.scenes.scene_number"],
            name=op.f("fk_generations_world_id_story_id_scene_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "generation_id", name=op.f("pk_generations")),
        sa.UniqueConstraint("world_id", "request_key", "story_id", "attempt", name="uq_generations_attempt"),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_generations_shown",
        "generations",
        ["world_id", "scene_number", "story_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("scene_number IS NOT NULL"),
    )

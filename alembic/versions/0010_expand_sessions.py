"""Sessions: sittings with their context, their exchanges, and their jobs.

Revision: 0010
Revises: 0009
Created: 2026-11-21
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"


def upgrade() -> None:
    _create_sessions()
    _create_interactions()
    _create_tasks()
    op.create_index("ix_sessions_heartbeat", "sessions", ["world_id", "heartbeat_at"], schema=SCHEMA)
    running = sa.text("state = 'running'")
    op.create_index(
        "uq_tasks_running",
        "tasks",
        ["world_id", "kind", "session_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=running,
    )
    op.create_index("ix_tasks_session", "tasks", ["world_id", "session_id", "created_at"], schema=SCHEMA)
    op.create_index(
        "ix_tasks_heartbeat", "tasks", ["world_id", "heartbeat_at"], schema=SCHEMA, postgresql_where=running
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("player", sa.Text(), nullable=True),
        sa.Column("context", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("context_version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("epoch", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("last_interaction_number", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        *_times(),
        sa.CheckConstraint("char_length(player) <= 500", name=op.f("ck_sessions_player_length")),
        sa.CheckConstraint("jsonb_typeof(context) = 'object'", name=op.f("ck_sessions_context_object")),
        sa.CheckConstraint("context_version > 0", name=op.f("ck_sessions_context_version_positive")),
        sa.CheckConstraint("epoch > 0", name=op.f("ck_sessions_epoch_positive")),
        sa.CheckConstraint(
            "last_interaction_number >= 0", name=op.f("ck_sessions_last_interaction_number_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_sessions_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", "session_id", name=op.f("pk_sessions")),
        schema=SCHEMA,
    )


def _create_interactions() -> None:
    op.create_table(
        "interactions",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("interaction_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("metadata", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        *_times(),
        sa.CheckConstraint("interaction_number > 0", name=op.f("ck_interactions_interaction_number_positive")),
        sa.CheckConstraint("char_length(request) <= 1000000", name=op.f("ck_interactions_request_length")),
        sa.CheckConstraint("char_length(response) <= 1000000", name=op.f("ck_interactions_response_length")),
        sa.CheckConstraint("jsonb_typeof(metadata) = 'object'", name=op.f("ck_interactions_metadata_object")),
        sa.CheckConstraint("version > 0", name=op.f("ck_interactions_version_positive")),
        _to_session("interactions"),
        sa.PrimaryKeyConstraint("world_id", "session_id", "interaction_number", name=op.f("pk_interactions")),
        schema=SCHEMA,
    )


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        *_task_columns(),
        *_times(),
        sa.CheckConstraint("char_length(kind) BETWEEN 1 AND 500", name=op.f("ck_tasks_kind_length")),
        sa.CheckConstraint(
            "state IN ('running', 'finished', 'failed', 'cancelled')", name=op.f("ck_tasks_state_known")
        ),
        sa.CheckConstraint("(state = 'running') = (ended_at IS NULL)", name=op.f("ck_tasks_ended_when_not_running")),
        sa.CheckConstraint("when_owner_dies IN ('fail', 'take_over')", name=op.f("ck_tasks_when_owner_dies_known")),
        sa.CheckConstraint("dead_after > interval '0'", name=op.f("ck_tasks_dead_after_positive")),
        sa.CheckConstraint("token > 0", name=op.f("ck_tasks_token_positive")),
        sa.CheckConstraint("epoch > 0", name=op.f("ck_tasks_epoch_positive")),
        sa.CheckConstraint("char_length(error) <= 100000", name=op.f("ck_tasks_error_length")),
        sa.CheckConstraint("char_length(cancel_reason) <= 500", name=op.f("ck_tasks_cancel_reason_length")),
        _to_session("tasks"),
        sa.PrimaryKeyConstraint("world_id", "task_id", name=op.f("pk_tasks")),
        schema=SCHEMA,
    )


def _task_columns() -> list[sa.Column[object]]:
    now = sa.text("now()")
    return [
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'running'"), nullable=False),
        sa.Column("token", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("payload", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("progress", postgresql.JSONB(), nullable=True),
        sa.Column("result", postgresql.JSONB(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("dead_after", sa.Interval(), nullable=False),
        sa.Column("when_owner_dies", sa.Text(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    ]


def _times() -> list[sa.Column[object]]:
    now = sa.text("now()")
    return [
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
    ]


def _to_session(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["world_id", "session_id"],
        [f"{SCHEMA}.sessions.world_id", f"{SCHEMA}.sessions.session_id"],
        name=op.f(f"fk_{table}_world_id_session_id"),
        ondelete="CASCADE",
    )


def downgrade() -> None:
    for table in ("tasks", "interactions", "sessions"):
        op.drop_table(table, schema=SCHEMA)

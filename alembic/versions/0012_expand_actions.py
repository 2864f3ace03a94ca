"""Actions: the lanes, and every command that was given to one.

Revision: 0012
Revises: 0011
Created: 2026-11-21
"""

from __future__ import annotations

from importlib.resources import files

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"
#: In an order in which each finds those that it calls.
FUNCTIONS = (
    "coordination/actions/sql/settle_lane_v1",
    "coordination/actions/sql/stop_action_v1",
    "coordination/actions/sql/enqueue_actions_v1",
    "coordination/actions/sql/claim_actions_v1",
    "coordination/actions/sql/complete_action_v1",
)
TABLES = (
    "lanes",
    "actions",
)


def upgrade() -> None:
    create_lanes()
    create_actions()
    index_actions()
    # One statement for one execute: a driver that prepares statements takes no two, and Citus none.
    for function in FUNCTIONS:
        op.execute(sa.text(files("livingworld").joinpath(f"{function}.sql").read_text().replace(":", "\\:")))


def downgrade() -> None:
    for function in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {SCHEMA}.{function.rpartition('/')[2]}")
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)


def create_lanes() -> None:
    op.create_table(
        "lanes",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("waiting", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_waiting", sa.Integer(), server_default=sa.text("10000"), nullable=False),
        sa.Column("running_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("head_priority", sa.Integer(), nullable=True),
        sa.Column("head_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wakes_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(head_priority IS NULL) = (head_created_at IS NULL)", name=op.f("ck_lanes_head_wholly_or_not")
        ),
        sa.CheckConstraint("char_length(lane) BETWEEN 1 AND 500", name=op.f("ck_lanes_lane_length")),
        sa.CheckConstraint(
            "last_number >= 0 AND waiting >= 0 AND max_waiting >= 1", name=op.f("ck_lanes_counters_natural")
        ),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_lanes_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", "lane", name=op.f("pk_lanes")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_lanes_ready",
        "lanes",
        ["world_id", sa.literal_column("head_priority DESC"), "head_created_at", "lane"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("running_until IS NULL AND head_priority IS NOT NULL"),
    )
    op.create_index(
        "ix_lanes_running_until",
        "lanes",
        ["world_id", "running_until"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("running_until IS NOT NULL"),
    )
    op.create_index(
        "ix_lanes_wakes_at",
        "lanes",
        ["world_id", "wakes_at"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("wakes_at IS NOT NULL AND running_until IS NULL"),
    )


def create_actions() -> None:
    op.create_table(
        "actions",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), server_default=sa.text("'queue'"), nullable=False),
        sa.Column("decided_by", sa.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("token", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("result", postgresql.JSONB(), nullable=True),
        sa.Column("errors", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("started_numbers", sa.ARRAY(sa.BigInteger()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("stopped_numbers", sa.ARRAY(sa.BigInteger()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("ended_number", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'running') = (claimed_until IS NOT NULL)", name=op.f("ck_actions_claimed_while_running")
        ),
        sa.CheckConstraint(
            "(state IN ('waiting', 'running')) = (ended_at IS NULL)", name=op.f("ck_actions_ended_when_over")
        ),
        sa.CheckConstraint(
            "decision IN ('queue', 'replace', 'merge', 'reject')", name=op.f("ck_actions_decision_known")
        ),
        sa.CheckConstraint("jsonb_typeof(payload) = 'object'", name=op.f("ck_actions_payload_object")),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'expired', 'cancelled', 'replaced', 'merged', "
            "'rejected')",
            name=op.f("ck_actions_state_known"),
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_number IS NULL)", name=op.f("ck_actions_ended_wholly_or_not")),
        sa.CheckConstraint("attempts BETWEEN 0 AND max_attempts", name=op.f("ck_actions_attempts_bounded")),
        sa.CheckConstraint("char_length(kind) BETWEEN 1 AND 500", name=op.f("ck_actions_kind_length")),
        sa.ForeignKeyConstraint(
            ["world_id", "lane"],
            [f"{SCHEMA}.lanes.world_id", f"{SCHEMA}.lanes.lane"],
            name=op.f("fk_actions_world_id_lane"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "action_id", name=op.f("pk_actions")),
        schema=SCHEMA,
    )


def index_actions() -> None:
    op.create_index(
        "ix_actions_not_before",
        "actions",
        ["world_id", "lane", "not_before"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'waiting' AND not_before IS NOT NULL"),
    )
    op.create_index(
        "ix_actions_waiting",
        "actions",
        ["world_id", "lane", sa.literal_column("priority DESC"), "number"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("uq_actions_number", "actions", ["world_id", "lane", "number"], unique=True, schema=SCHEMA)
    op.create_index(
        "uq_actions_running",
        "actions",
        ["world_id", "lane"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'running'"),
    )

"""Cycles: who may run each now, and every run.

Revision: 0011
Revises: 0010
Created: 2026-11-21
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"


def upgrade() -> None:
    create_cycles()
    create_cycle_runs()


def downgrade() -> None:
    op.drop_table("cycle_runs", schema=SCHEMA)
    op.drop_table("cycles", schema=SCHEMA)


def create_cycles() -> None:
    op.create_table(
        "cycles",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_run_number", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("stop_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("(owner IS NULL) = (expires_at IS NULL)", name=op.f("ck_cycles_held_wholly_or_not")),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 500", name=op.f("ck_cycles_name_length")),
        sa.CheckConstraint("token >= 0 AND last_run_number >= 0", name=op.f("ck_cycles_counters_natural")),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_cycles_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", "name", name=op.f("pk_cycles")),
        schema=SCHEMA,
    )


def create_cycle_runs() -> None:
    op.create_table(
        "cycle_runs",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("run_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'running'"), nullable=False),
        sa.Column("phases", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("phases_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("results", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'running') = (finished_at IS NULL)", name=op.f("ck_cycle_runs_finished_when_over")
        ),
        sa.CheckConstraint(
            "state <> 'done' OR phases_done = cardinality(phases)", name=op.f("ck_cycle_runs_done_wholly")
        ),
        sa.CheckConstraint("state IN ('running', 'done', 'stopped', 'failed')", name=op.f("ck_cycle_runs_state_known")),
        sa.CheckConstraint(
            "phases_done BETWEEN 0 AND cardinality(phases)", name=op.f("ck_cycle_runs_phases_done_known")
        ),
        sa.CheckConstraint("run_number >= 1 AND attempts >= 1", name=op.f("ck_cycle_runs_counters_positive")),
        sa.ForeignKeyConstraint(
            ["world_id", "name"],
            [f"{SCHEMA}.cycles.world_id", f"{SCHEMA}.cycles.name"],
            name=op.f("fk_cycle_runs_world_id_name"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "name", "run_number", name=op.f("pk_cycle_runs")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_cycle_runs_running",
        "cycle_runs",
        ["world_id", "name"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'running'"),
    )

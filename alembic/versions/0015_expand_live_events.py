"""Live events: what is followed, what was told, and the functions that append, commit and publish in one statement.

Revision: 0015
Revises: 0014
Created: 2026-11-21
"""

from __future__ import annotations

from importlib.resources import files

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"
#: In an order in which each finds those that it calls.
FUNCTIONS = (
    "live/sql/publish_events_v1",
    "story/stories/sql/append_scenes_v2",
    "story/turns/sql/publish_turn_v1",
    "story/turns/sql/commit_turns_v2",
    "story/turns/sql/commit_turn_with_state_v2",
)


def upgrade() -> None:
    create_live_streams()
    create_live_events()
    # One statement for one execute: a driver that prepares statements takes no two, and Citus none.
    for function in FUNCTIONS:
        op.execute(sa.text(files("livingworld").joinpath(f"{function}.sql").read_text().replace(":", "\\:")))


def downgrade() -> None:
    for function in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {SCHEMA}.{function.rpartition('/')[2]}")
    op.drop_table("live_events", schema=SCHEMA)
    op.drop_table("live_streams", schema=SCHEMA)


def create_live_streams() -> None:
    op.create_table(
        "live_streams",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("kept_after", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("followed_until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kept_after BETWEEN 0 AND last_number", name=op.f("ck_live_streams_kept_after_known")),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_live_streams_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", "stream_id", name=op.f("pk_live_streams")),
        schema=SCHEMA,
    )


def create_live_events() -> None:
    op.create_table(
        "live_events",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.Column("event_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("event_number > 0", name=op.f("ck_live_events_event_number_positive")),
        sa.ForeignKeyConstraint(
            ["world_id", "stream_id"],
            [f"{SCHEMA}.live_streams.world_id", f"{SCHEMA}.live_streams.stream_id"],
            name=op.f("fk_live_events_world_id_stream_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "stream_id", "event_number", name=op.f("pk_live_events")),
        schema=SCHEMA,
    )

"""What is stored of actions: the lanes, and every command that was given to one with what became of it."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.inputs import MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import SCHEMA, metadata, world_id_column

#: So many actions may wait in a lane without a limit of its own.
MAX_WAITING = 10_000

lanes = Table(
    "lanes",
    metadata,
    world_id_column(),
    Column("lane", Text, primary_key=True),
    #: The counter of everything that happens in the lane: commands, starts and ends.
    Column("last_number", BigInteger, nullable=False, server_default=text("0")),
    Column("waiting", Integer, nullable=False, server_default=text("0")),
    Column("max_waiting", Integer, nullable=False, server_default=text(str(MAX_WAITING))),
    #: When the claim or the deadline of the running action ends. NULL: nothing runs.
    Column("running_until", DateTime(timezone=True)),
    #: Of the action that is next. NULL: none is due.
    Column("head_priority", Integer),
    Column("head_created_at", DateTime(timezone=True)),
    #: When the next future-dated action is due, or NULL.
    Column("wakes_at", DateTime(timezone=True)),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(lane) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="lane_length"),
    CheckConstraint("last_number >= 0 AND waiting >= 0 AND max_waiting >= 1", name="counters_natural"),
    CheckConstraint("(head_priority IS NULL) = (head_created_at IS NULL)", name="head_wholly_or_not"),
)
# What a claim looks for: the lane whose head is next.
Index(
    "ix_lanes_ready",
    lanes.c.world_id,
    lanes.c.head_priority.desc(),
    lanes.c.head_created_at,
    lanes.c.lane,
    postgresql_where=text("running_until IS NULL AND head_priority IS NOT NULL"),
)
Index(
    "ix_lanes_running_until",
    lanes.c.world_id,
    lanes.c.running_until,
    postgresql_where=text("running_until IS NOT NULL"),
)
Index(
    "ix_lanes_wakes_at",
    lanes.c.world_id,
    lanes.c.wakes_at,
    postgresql_where=text("wakes_at IS NOT NULL AND running_until IS NULL"),
)

actions = Table(
    "actions",
    metadata,
    world_id_column(),
    Column("action_id", Uuid(), primary_key=True),
    Column("lane", Text, nullable=False),
    #: Its place among all that happened in the lane; arrival counts by it.
    Column("number", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", JSONB, nullable=False, server_default=text("'{}'")),
    #: The greater goes first.
    Column("priority", Integer, nullable=False, server_default=text("0")),
    #: NULL: at once.
    Column("not_before", DateTime(timezone=True)),
    #: NULL: never too late.
    Column("deadline", DateTime(timezone=True)),
    Column("state", Text, nullable=False),
    #: What was decided about the command when it came.
    Column("decision", Text, nullable=False, server_default=text("'queue'")),
    #: The actions that it replaced, was merged into, or was refused for.
    Column("decided_by", ARRAY(Uuid()), nullable=False, server_default=text("'{}'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("max_attempts", Integer, nullable=False),
    #: Rises with every claim; a write that proves itself by an older one is refused.
    Column("token", BigInteger, nullable=False, server_default=text("0")),
    #: The claims that were not extended in time and counted as attempts, by their tokens.
    Column("lapsed_tokens", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    #: NULL: not running.
    Column("claimed_until", DateTime(timezone=True)),
    Column("cancel_requested_at", DateTime(timezone=True)),
    Column("cancel_reason", Text),
    Column("result", JSONB),
    #: One for each attempt that failed: {attempt, error}.
    Column("errors", JSONB, nullable=False, server_default=text("'[]'")),
    #: The numbers at which it began to run and ceased to.
    Column("started_numbers", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    Column("stopped_numbers", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    #: The number at which it was over, or NULL.
    Column("ended_number", BigInteger),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("started_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    ForeignKeyConstraint(
        ["world_id", "lane"], [f"{SCHEMA}.lanes.{name}" for name in ("world_id", "lane")], ondelete="CASCADE"
    ),
    CheckConstraint(f"char_length(kind) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="kind_length"),
    CheckConstraint("jsonb_typeof(payload) = 'object'", name="payload_object"),
    CheckConstraint(
        "state IN ('waiting', 'running', 'done', 'failed', 'expired', 'cancelled', 'replaced', 'merged', 'rejected')",
        name="state_known",
    ),
    CheckConstraint("decision IN ('queue', 'replace', 'merge', 'reject')", name="decision_known"),
    CheckConstraint("(state = 'running') = (claimed_until IS NOT NULL)", name="claimed_while_running"),
    CheckConstraint("(state IN ('waiting', 'running')) = (ended_at IS NULL)", name="ended_when_over"),
    CheckConstraint("(ended_at IS NULL) = (ended_number IS NULL)", name="ended_wholly_or_not"),
    CheckConstraint("attempts BETWEEN 0 AND max_attempts", name="attempts_bounded"),
)
# One runs in each lane.
Index(
    "uq_actions_running",
    actions.c.world_id,
    actions.c.lane,
    unique=True,
    postgresql_where=actions.c.state == text("'running'"),
)
# The order of a lane.
Index(
    "ix_actions_waiting",
    actions.c.world_id,
    actions.c.lane,
    actions.c.priority.desc(),
    actions.c.number,
    postgresql_where=actions.c.state == text("'waiting'"),
)
Index(
    "ix_actions_not_before",
    actions.c.world_id,
    actions.c.lane,
    actions.c.not_before,
    postgresql_where=text("state = 'waiting' AND not_before IS NOT NULL"),
)
# What was ever given to a lane, in order.
Index("uq_actions_number", actions.c.world_id, actions.c.lane, actions.c.number, unique=True)
# What is removed when it is old.
Index("ix_actions_ended_at", actions.c.world_id, actions.c.ended_at, postgresql_where=actions.c.ended_at.is_not(None))

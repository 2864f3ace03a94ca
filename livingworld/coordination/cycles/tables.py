"""What is stored of cycles: the owner of each, and every run with the results of its phases."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
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

cycles = Table(
    "cycles",
    metadata,
    world_id_column(),
    Column("name", Text, primary_key=True),
    #: Rises with every holding; a write that proves itself by an older one is refused.
    Column("token", BigInteger, nullable=False, server_default=text("0")),
    #: One holding. NULL: it does not run.
    Column("owner", Uuid()),
    Column("expires_at", DateTime(timezone=True)),
    #: The counter of runs.
    Column("last_run_number", Integer, nullable=False, server_default=text("0")),
    Column("stop_requested", Boolean, nullable=False, server_default=text("false")),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(name) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="name_length"),
    CheckConstraint("(owner IS NULL) = (expires_at IS NULL)", name="held_wholly_or_not"),
    CheckConstraint("token >= 0 AND last_run_number >= 0", name="counters_natural"),
)

cycle_runs = Table(
    "cycle_runs",
    metadata,
    world_id_column(),
    Column("name", Text, primary_key=True),
    Column("run_number", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False, server_default=text("'running'")),
    #: The names of the phases, in order, as the run began.
    Column("phases", ARRAY(Text), nullable=False),
    #: How many of them are done.
    Column("phases_done", Integer, nullable=False, server_default=text("0")),
    #: Why it was run, or NULL.
    Column("reason", Text),
    #: What they returned: {phase: {result, seconds}}.
    Column("results", JSONB, nullable=False, server_default=text("'{}'")),
    #: How often it was begun: once more for each owner that took it over.
    Column("attempts", Integer, nullable=False, server_default=text("1")),
    Column("error", Text),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("finished_at", DateTime(timezone=True)),
    ForeignKeyConstraint(
        ["world_id", "name"], [f"{SCHEMA}.cycles.{name}" for name in ("world_id", "name")], ondelete="CASCADE"
    ),
    CheckConstraint("state IN ('running', 'done', 'stopped', 'failed')", name="state_known"),
    CheckConstraint("(state = 'running') = (finished_at IS NULL)", name="finished_when_over"),
    CheckConstraint("phases_done BETWEEN 0 AND cardinality(phases)", name="phases_done_known"),
    CheckConstraint("state <> 'done' OR phases_done = cardinality(phases)", name="done_wholly"),
    CheckConstraint("run_number >= 1 AND attempts >= 1", name="counters_positive"),
)
# One run of a cycle at a time.
Index(
    "uq_cycle_runs_running",
    cycle_runs.c.world_id,
    cycle_runs.c.name,
    unique=True,
    postgresql_where=cycle_runs.c.state == text("'running'"),
)

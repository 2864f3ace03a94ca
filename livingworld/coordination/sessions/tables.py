"""What is stored of sessions: the sitting with its context and counters, its exchanges, and its jobs."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    Interval,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.inputs import MAX_CONTENT_CHARACTERS, MAX_DESCRIPTION_CHARACTERS, MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import (
    SCHEMA,
    key_columns,
    metadata,
    time_columns,
    unique_key,
    version_column,
    world_id_column,
)

_SESSION = ("world_id", "session_id")


def _to_session() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(_SESSION, [f"{SCHEMA}.sessions.{name}" for name in _SESSION], ondelete="CASCADE")


sessions = Table(
    "sessions",
    metadata,
    world_id_column(),
    Column("session_id", Uuid(), primary_key=True),
    *key_columns(),
    #: Who plays, as the application calls them.
    Column("player", Text),
    Column("context", JSONB, nullable=False, server_default=text("'{}'")),
    Column("context_version", Integer, nullable=False, server_default=text("1")),
    #: Raised by each clear: what was begun under a lower one is refused.
    Column("epoch", Integer, nullable=False, server_default=text("1")),
    #: The counter of interactions: raised by the statement that uses the number.
    Column("last_interaction_number", Integer, nullable=False, server_default=text("0")),
    Column("heartbeat_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("closed_at", DateTime(timezone=True)),
    *time_columns(),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(player) <= {MAX_LABEL_CHARACTERS}", name="player_length"),
    CheckConstraint("jsonb_typeof(context) = 'object'", name="context_object"),
    CheckConstraint("context_version > 0", name="context_version_positive"),
    CheckConstraint("epoch > 0", name="epoch_positive"),
    CheckConstraint("last_interaction_number >= 0", name="last_interaction_number_not_negative"),
)
unique_key(sessions)
# The sessions of a player, newest first: ids are ordered by time.
Index("ix_sessions_player", sessions.c.world_id, sessions.c.player, sessions.c.session_id)
# What the sweeper looks for.
Index("ix_sessions_heartbeat", sessions.c.world_id, sessions.c.heartbeat_at)

interactions = Table(
    "interactions",
    metadata,
    world_id_column(),
    Column("session_id", Uuid(), primary_key=True),
    Column("interaction_number", Integer, primary_key=True, autoincrement=False),
    Column("request", Text, nullable=False),
    #: NULL: not answered yet.
    Column("response", Text),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'")),
    version_column(),
    *time_columns(),
    _to_session(),
    CheckConstraint("interaction_number > 0", name="interaction_number_positive"),
    CheckConstraint(f"char_length(request) <= {MAX_CONTENT_CHARACTERS}", name="request_length"),
    CheckConstraint(f"char_length(response) <= {MAX_CONTENT_CHARACTERS}", name="response_length"),
    CheckConstraint("jsonb_typeof(metadata) = 'object'", name="metadata_object"),
    CheckConstraint("version > 0", name="version_positive"),
)
# What is removed when it is old.
Index("ix_interactions_created_at", interactions.c.world_id, interactions.c.created_at)

tasks = Table(
    "tasks",
    metadata,
    world_id_column(),
    Column("task_id", Uuid(), primary_key=True),
    Column("session_id", Uuid(), nullable=False),
    Column("kind", Text, nullable=False),
    #: The session's epoch when it was created.
    Column("epoch", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'running'")),
    #: Raised by each takeover: an owner with a lower one owns it no more.
    Column("token", Integer, nullable=False, server_default=text("1")),
    Column("payload", JSONB, nullable=False, server_default=text("'{}'")),
    Column("progress", JSONB(none_as_null=True)),
    Column("result", JSONB(none_as_null=True)),
    Column("error", Text),
    #: An owner without a heartbeat for so long is dead.
    Column("dead_after", Interval, nullable=False),
    #: What becomes of it then.
    Column("when_owner_dies", Text, nullable=False),
    Column("heartbeat_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("cancel_requested_at", DateTime(timezone=True)),
    Column("cancel_reason", Text),
    Column("ended_at", DateTime(timezone=True)),
    *time_columns(),
    _to_session(),
    CheckConstraint(f"char_length(kind) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="kind_length"),
    CheckConstraint("state IN ('running', 'finished', 'failed', 'cancelled')", name="state_known"),
    CheckConstraint("(state = 'running') = (ended_at IS NULL)", name="ended_when_not_running"),
    CheckConstraint("when_owner_dies IN ('fail', 'take_over')", name="when_owner_dies_known"),
    CheckConstraint("dead_after > interval '0'", name="dead_after_positive"),
    CheckConstraint("token > 0", name="token_positive"),
    CheckConstraint("epoch > 0", name="epoch_positive"),
    CheckConstraint(f"char_length(error) <= {MAX_DESCRIPTION_CHARACTERS}", name="error_length"),
    CheckConstraint(f"char_length(cancel_reason) <= {MAX_LABEL_CHARACTERS}", name="cancel_reason_length"),
)
#: As a literal, because a parameter would keep a generic plan from the partial indexes.
RUNS = tasks.c.state == text("'running'")
# One of a kind runs in a session.
Index("uq_tasks_running", tasks.c.world_id, tasks.c.kind, tasks.c.session_id, unique=True, postgresql_where=RUNS)
Index("ix_tasks_session", tasks.c.world_id, tasks.c.session_id, tasks.c.created_at)
# What the sweeper looks for.
Index("ix_tasks_heartbeat", tasks.c.world_id, tasks.c.heartbeat_at, postgresql_where=RUNS)

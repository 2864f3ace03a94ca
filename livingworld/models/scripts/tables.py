"""What is stored of scripts: which version is active, every version and activation, and what runs where."""

from __future__ import annotations

from sqlalchemy import (
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

from livingworld.inputs import MAX_CONTENT_CHARACTERS, MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import SCHEMA, metadata, world_id_column

_OF_SCRIPT = [f"{SCHEMA}.scripts.{column}" for column in ("world_id", "name")]
_OF_VERSION = [f"{SCHEMA}.script_versions.{column}" for column in ("world_id", "name", "version")]

scripts = Table(
    "scripts",
    metadata,
    world_id_column(),
    Column("name", Text(collation="C"), primary_key=True),
    #: The counter of versions.
    Column("last_version", Integer, nullable=False, server_default=text("0")),
    #: NULL: none was activated yet.
    Column("active_version", Integer),
    #: The counter of activations; a version that comes back is another activation.
    Column("activation", Integer, nullable=False, server_default=text("0")),
    Column("activated_at", DateTime(timezone=True)),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(name) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="name_length"),
    CheckConstraint("last_version >= 0 AND activation >= 0", name="counters_natural"),
    CheckConstraint("active_version BETWEEN 1 AND last_version", name="active_version_known"),
    CheckConstraint(
        "(active_version IS NULL) = (activation = 0) AND (active_version IS NULL) = (activated_at IS NULL)",
        name="active_wholly_or_not",
    ),
)

script_versions = Table(
    "script_versions",
    metadata,
    world_id_column(),
    Column("name", Text(collation="C"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    #: Which validator reads it.
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    #: SHA-256 of kind and body, in hexadecimal digits.
    Column("digest", Text, nullable=False),
    Column("validated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("state", Text, nullable=False, server_default=text("'ready'")),
    Column("retired_at", DateTime(timezone=True)),
    ForeignKeyConstraint(["world_id", "name"], _OF_SCRIPT, ondelete="CASCADE"),
    CheckConstraint("version >= 1", name="version_positive"),
    CheckConstraint(f"char_length(body) <= {MAX_CONTENT_CHARACTERS}", name="body_length"),
    CheckConstraint(f"char_length(kind) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="kind_length"),
    CheckConstraint("char_length(digest) = 64", name="digest_length"),
    CheckConstraint("state IN ('ready', 'retiring', 'retired')", name="state_known"),
    CheckConstraint("(state = 'retired') = (retired_at IS NOT NULL)", name="retired_wholly_or_not"),
)

script_activations = Table(
    "script_activations",
    metadata,
    world_id_column(),
    Column("name", Text(collation="C"), primary_key=True),
    Column("activation", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    #: The activation that a rollback goes back to. NULL: there is none.
    Column("back_to", Integer),
    Column("activated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["world_id", "name", "version"], _OF_VERSION, ondelete="CASCADE"),
    CheckConstraint("activation >= 1", name="activation_positive"),
    CheckConstraint("back_to BETWEEN 1 AND activation - 1", name="back_to_earlier"),
)

script_executions = Table(
    "script_executions",
    metadata,
    world_id_column(),
    Column("name", Text(collation="C"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    #: All uses of the version at one time in one process.
    Column("execution_id", Uuid(), primary_key=True),
    #: One opened LivingWorld.
    Column("process_id", Uuid(), nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False, server_default=func.now()),
    #: When the row of a dead process no longer counts.
    Column("expires_at", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["world_id", "name", "version"], _OF_VERSION, ondelete="CASCADE"),
    CheckConstraint(f"char_length(host) <= {MAX_LABEL_CHARACTERS}", name="host_length"),
)
Index("ix_script_executions_process", script_executions.c.world_id, script_executions.c.process_id)

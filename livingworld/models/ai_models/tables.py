"""What is stored of AI models: each role's counters, every version of a model, and what they answered."""

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
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.inputs import MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import SCHEMA, metadata, time_columns, world_id_column

#: The row under which a role's models are registered, promoted and rolled back.
ai_model_roles = Table(
    "ai_model_roles",
    metadata,
    world_id_column(),
    Column("role", Text, primary_key=True),
    #: The counter of versions.
    Column("last_version", Integer, nullable=False, server_default=text("0")),
    #: How often another model became the active one.
    Column("activations", Integer, nullable=False, server_default=text("0")),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(role) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="role_length"),
    CheckConstraint("last_version >= 0 AND activations >= 0", name="counters_natural"),
)

ai_models = Table(
    "ai_models",
    metadata,
    world_id_column(),
    Column("model_id", Uuid(), primary_key=True),
    Column("role", Text, nullable=False),
    #: From 1 in each role, without a gap.
    Column("version", Integer, nullable=False),
    Column("provider", Text, nullable=False),
    Column("name", Text, nullable=False),
    #: Of an embedding model's vectors.
    Column("dimensions", Integer),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'")),
    Column("state", Text, nullable=False, server_default=text("'staging'")),
    #: When it was last loaded and answered a probe as it should.
    Column("validated_at", DateTime(timezone=True)),
    #: Number of the activation, in its role, by which it last became the active one.
    Column("activation", Integer),
    Column("activated_at", DateTime(timezone=True)),
    Column("retired_at", DateTime(timezone=True)),
    #: The one that was active before it was promoted: the way back.
    Column("replaced_model_id", Uuid()),
    *time_columns(),
    ForeignKeyConstraint(
        ["world_id", "role"], [f"{SCHEMA}.ai_model_roles.{name}" for name in ("world_id", "role")], ondelete="CASCADE"
    ),
    UniqueConstraint("world_id", "role", "version"),
    CheckConstraint("state IN ('staging', 'active', 'retired')", name="state_known"),
    CheckConstraint("state = 'staging' OR validated_at IS NOT NULL", name="in_service_only_validated"),
    CheckConstraint(
        "(state = 'staging') = (activation IS NULL) AND (state = 'staging') = (activated_at IS NULL)",
        name="activation_known",
    ),
    CheckConstraint("(state = 'retired') = (retired_at IS NOT NULL)", name="retired_when"),
    CheckConstraint("replaced_model_id <> model_id", name="replaced_another"),
    CheckConstraint("version >= 1 AND dimensions >= 1 AND activation >= 1", name="numbers_positive"),
    CheckConstraint(
        f"char_length(provider) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}"
        f" AND char_length(name) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}",
        name="names_length",
    ),
)
# Exactly one active for each role.
Index(
    "uq_ai_models_active",
    ai_models.c.world_id,
    ai_models.c.role,
    unique=True,
    postgresql_where=ai_models.c.state == text("'active'"),
)

training_samples = Table(
    "training_samples",
    metadata,
    world_id_column(),
    #: Made by the client before it was sent, so that what is sent twice is stored once.
    Column("sample_id", Uuid(), primary_key=True),
    Column("role", Text, nullable=False),
    #: Which model answered, and its version; NULL: a person did.
    Column("model_id", Uuid()),
    Column("model_version", Integer),
    Column("input", JSONB(none_as_null=False), nullable=False),
    Column("output", JSONB(none_as_null=False), nullable=False),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    ForeignKeyConstraint(
        ["world_id", "model_id"],
        [f"{SCHEMA}.ai_models.{name}" for name in ("world_id", "model_id")],
        ondelete="CASCADE",
    ),
    CheckConstraint(f"char_length(role) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="role_length"),
    CheckConstraint("(model_id IS NULL) = (model_version IS NULL)", name="model_wholly_or_not"),
)
# The samples of one role, in pages.
Index("ix_training_samples_role", training_samples.c.world_id, training_samples.c.role, training_samples.c.sample_id)

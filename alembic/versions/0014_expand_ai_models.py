"""AI models: what each role has, which one is active, and what they answered.

Revision: 0014
Revises: 0013
Created: 2026-11-21
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"


def upgrade() -> None:
    create_ai_model_roles()
    create_ai_models()
    create_training_samples()


def downgrade() -> None:
    for table in ("training_samples", "ai_models", "ai_model_roles"):
        op.drop_table(table, schema=SCHEMA)


def create_ai_model_roles() -> None:
    op.create_table(
        "ai_model_roles",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("last_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("activations", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("char_length(role) BETWEEN 1 AND 500", name=op.f("ck_ai_model_roles_role_length")),
        sa.CheckConstraint("last_version >= 0 AND activations >= 0", name=op.f("ck_ai_model_roles_counters_natural")),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_ai_model_roles_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", "role", name=op.f("pk_ai_model_roles")),
        schema=SCHEMA,
    )


def create_ai_models() -> None:
    op.create_table(
        "ai_models",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=True),
        sa.Column("settings", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'staging'"), nullable=False),
        sa.Column("validated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("activation", sa.Integer(), nullable=True),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replaced_model_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(state = 'retired') = (retired_at IS NOT NULL)", name=op.f("ck_ai_models_retired_when")),
        sa.CheckConstraint(
            "(state = 'staging') = (activation IS NULL) AND (state = 'staging') = (activated_at IS NULL)",
            name=op.f("ck_ai_models_activation_known"),
        ),
        sa.CheckConstraint(
            "state = 'staging' OR validated_at IS NOT NULL", name=op.f("ck_ai_models_in_service_only_validated")
        ),
        sa.CheckConstraint("state IN ('staging', 'active', 'retired')", name=op.f("ck_ai_models_state_known")),
        sa.CheckConstraint(
            "char_length(provider) BETWEEN 1 AND 500 AND char_length(name) BETWEEN 1 AND 500",
            name=op.f("ck_ai_models_names_length"),
        ),
        sa.CheckConstraint("replaced_model_id <> model_id", name=op.f("ck_ai_models_replaced_another")),
        sa.CheckConstraint(
            "version >= 1 AND dimensions >= 1 AND activation >= 1", name=op.f("ck_ai_models_numbers_positive")
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "role"],
            [f"{SCHEMA}.ai_model_roles.world_id", f"{SCHEMA}.ai_model_roles.role"],
            name=op.f("fk_ai_models_world_id_role"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "model_id", name=op.f("pk_ai_models")),
        sa.UniqueConstraint("world_id", "role", "version", name=op.f("uq_ai_models_world_id_role_version")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_ai_models_active",
        "ai_models",
        ["world_id", "role"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'active'"),
    )


def create_training_samples() -> None:
    op.create_table(
        "training_samples",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("sample_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=True),
        sa.Column("model_version", sa.Integer(), nullable=True),
        sa.Column("input", postgresql.JSONB(), nullable=False),
        sa.Column("output", postgresql.JSONB(), nullable=False),
        sa.Column("metadata", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(model_id IS NULL) = (model_version IS NULL)", name=op.f("ck_training_samples_model_wholly_or_not")
        ),
        sa.CheckConstraint("char_length(role) BETWEEN 1 AND 500", name=op.f("ck_training_samples_role_length")),
        sa.ForeignKeyConstraint(
            ["world_id", "model_id"],
            [f"{SCHEMA}.ai_models.world_id", f"{SCHEMA}.ai_models.model_id"],
            name=op.f("fk_training_samples_world_id_model_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_training_samples_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", "sample_id", name=op.f("pk_training_samples")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_training_samples_role", "training_samples", ["world_id", "role", "sample_id"], unique=False, schema=SCHEMA
    )

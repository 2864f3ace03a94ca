"""Scripts: their versions, which of them is active, and who runs what.

Revision: 0013
Revises: 0012
Created: 2026-11-21
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"


def upgrade() -> None:
    create_scripts()
    create_script_versions()
    create_script_activations()
    create_script_executions()


def downgrade() -> None:
    op.drop_table("script_executions", schema=SCHEMA)
    op.drop_table("script_activations", schema=SCHEMA)
    op.drop_table("script_versions", schema=SCHEMA)
    op.drop_table("scripts", schema=SCHEMA)


def create_scripts() -> None:
    op.create_table(
        "scripts",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("last_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("active_version", sa.Integer(), nullable=True),
        sa.Column("activation", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(active_version IS NULL) = (activation = 0) AND (active_version IS NULL) = (activated_at IS NULL)",
            name=op.f("ck_scripts_active_wholly_or_not"),
        ),
        sa.CheckConstraint("active_version BETWEEN 1 AND last_version", name=op.f("ck_scripts_active_version_known")),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 500", name=op.f("ck_scripts_name_length")),
        sa.CheckConstraint("last_version >= 0 AND activation >= 0", name=op.f("ck_scripts_counters_natural")),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_scripts_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", "name", name=op.f("pk_scripts")),
        schema=SCHEMA,
    )


def create_script_versions() -> None:
    op.create_table(
        "script_versions",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("validated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'ready'"), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'retired') = (retired_at IS NOT NULL)", name=op.f("ck_script_versions_retired_wholly_or_not")
        ),
        sa.CheckConstraint("state IN ('ready', 'retiring', 'retired')", name=op.f("ck_script_versions_state_known")),
        sa.CheckConstraint("char_length(body) <= 1000000", name=op.f("ck_script_versions_body_length")),
        sa.CheckConstraint("char_length(digest) = 64", name=op.f("ck_script_versions_digest_length")),
        sa.CheckConstraint("char_length(kind) BETWEEN 1 AND 500", name=op.f("ck_script_versions_kind_length")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_script_versions_version_positive")),
        sa.ForeignKeyConstraint(
            ["world_id", "name"],
            [f"{SCHEMA}.scripts.world_id", f"{SCHEMA}.scripts.name"],
            name=op.f("fk_script_versions_world_id_name"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "name", "version", name=op.f("pk_script_versions")),
        schema=SCHEMA,
    )


def create_script_activations() -> None:
    op.create_table(
        "script_activations",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("activation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("back_to", sa.Integer(), nullable=True),
        sa.Column("activated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("activation >= 1", name=op.f("ck_script_activations_activation_positive")),
        sa.CheckConstraint("back_to BETWEEN 1 AND activation - 1", name=op.f("ck_script_activations_back_to_earlier")),
        sa.ForeignKeyConstraint(
            ["world_id", "name", "version"],
            [
                f"{SCHEMA}.script_versions.world_id",
                f"{SCHEMA}.script_versions.name",
                f"{SCHEMA}.script_versions.version",
            ],
            name=op.f("fk_script_activations_world_id_name_version"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "name", "activation", name=op.f("pk_script_activations")),
        schema=SCHEMA,
    )


def create_script_executions() -> None:
    op.create_table(
        "script_executions",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("execution_id", sa.Uuid(), nullable=False),
        sa.Column("process_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("char_length(host) <= 500", name=op.f("ck_script_executions_host_length")),
        sa.ForeignKeyConstraint(
            ["world_id", "name", "version"],
            [
                f"{SCHEMA}.script_versions.world_id",
                f"{SCHEMA}.script_versions.name",
                f"{SCHEMA}.script_versions.version",
            ],
            name=op.f("fk_script_executions_world_id_name_version"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "name", "version", "execution_id", name=op.f("pk_script_executions")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_script_executions_process", "script_executions", ["world_id", "process_id"], unique=False, schema=SCHEMA
    )

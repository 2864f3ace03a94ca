"""Leases of the application's own.

Revision: 0009
Revises: 0008
Created: 2026-11-21
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SCHEMA = "livingworld"


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(owner IS NULL) = (expires_at IS NULL)", name=op.f("ck_leases_held_wholly_or_not")),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 500", name=op.f("ck_leases_name_length")),
        sa.CheckConstraint("token >= 1", name=op.f("ck_leases_token_positive")),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_leases_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", "name", name=op.f("pk_leases")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("leases", schema=SCHEMA)

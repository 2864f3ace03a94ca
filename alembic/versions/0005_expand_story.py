"""The wing of the story: stories, characters, facts, relationships, memories, lore and turns.

Revision: 0005
Revises: 0004
Created: 2026-11-21
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.migration_text import install, remove
from livingworld.postgres.upgrades.performing import perform

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STEPS = install(Path(__file__))


def upgrade() -> None:
    perform(STEPS)


def downgrade() -> None:
    for function in ("vector_similarity", "nearest_memories"):  # made by story/memories/vector_similarity.py
        op.execute(f"DROP FUNCTION IF EXISTS {SCHEMA}.{function}")
    remove(Path(__file__))

"""The wing of models: AI models, scripts and embeddings.

Revision: 0003
Revises: 0002
Created: 2026-11-21
"""

from __future__ import annotations

from pathlib import Path

from livingworld.postgres.migration_text import install, remove
from livingworld.postgres.upgrades.performing import perform

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STEPS = install(Path(__file__))


def upgrade() -> None:
    perform(STEPS)


def downgrade() -> None:
    remove(Path(__file__))

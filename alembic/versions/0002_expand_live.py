"""Live events: what is followed, and what was published.

Revision: 0002
Revises: 0001
Created: 2026-11-21
"""

from __future__ import annotations

from pathlib import Path

from livingworld.postgres.migration_text import install, remove
from livingworld.postgres.upgrades.performing import perform

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STEPS = install(Path(__file__))


def upgrade() -> None:
    perform(STEPS)


def downgrade() -> None:
    remove(Path(__file__))

"""The wing of coordination: sessions, actions, cycles, locks and documents.

Revision: 0004
Revises: 0003
Created: 2026-11-21
"""

from __future__ import annotations

from pathlib import Path

from livingworld.postgres.migration_text import install, remove
from livingworld.postgres.upgrades.performing import perform

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STEPS = install(Path(__file__))


def upgrade() -> None:
    perform(STEPS)


def downgrade() -> None:
    remove(Path(__file__))

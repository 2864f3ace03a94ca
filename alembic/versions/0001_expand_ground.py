"""What everything stands on: worlds, and the keys of requests.

Revision: 0001
Revises:
Created: 2026-11-21
"""

from __future__ import annotations

from pathlib import Path

from livingworld.postgres.migration_text import install, remove
from livingworld.postgres.upgrades.performing import perform

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STEPS = install(Path(__file__))


def upgrade() -> None:
    perform(STEPS)


def downgrade() -> None:
    remove(Path(__file__))

"""An index, and the values of two columns: of a table that grows, and of one whose rows are held all the time.

Revision: later_2
"""

from __future__ import annotations

from alembic import op

from livingworld.postgres.upgrades.back_fill import back_fill
from livingworld.postgres.upgrades.changes import create_index
from livingworld.postgres.upgrades.performing import perform

revision = "later_2"
down_revision = "later_1"
branch_labels = None
depends_on = None

STEPS = (
    create_index("ix_scenes_mood", "scenes", "(world_id, mood)"),
    back_fill("scenes", "mood = 'calm: ' || left(content, 3)", "mood IS NULL"),
    back_fill("stories", "tone = lower(title)", "tone IS NULL"),
)


def upgrade() -> None:
    perform(STEPS)


def downgrade() -> None:
    op.execute("DROP INDEX livingworld.ix_scenes_mood")

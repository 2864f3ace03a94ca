"""Columns with and without a default, and a function that is replaced.

Revision: later_1
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

from livingworld.postgres.upgrades.changes import add_column, create_function
from livingworld.postgres.upgrades.performing import perform

VERSIONS = Path(__file__).parent

revision = "later_1"
#: The newest of this release, beside which the tests put this file.
down_revision = max(path.name[:4] for path in VERSIONS.glob("0*.py"))
branch_labels = None
depends_on = None

FUNCTION = "append_plain_scene_v1"
STEPS = (
    add_column("scenes", "mood", "text"),
    add_column("scenes", "weight", "integer DEFAULT 1"),
    add_column("scenes", "teller", "uuid"),
    add_column("stories", "tone", "text"),
    create_function(FUNCTION, (VERSIONS / "sql" / "0005" / f"{FUNCTION}.sql").read_text()),
)


def upgrade() -> None:
    perform(STEPS)


def downgrade() -> None:
    for column in ("mood", "weight", "teller"):
        op.execute(f"ALTER TABLE livingworld.scenes DROP COLUMN {column}")
    op.execute("ALTER TABLE livingworld.stories DROP COLUMN tone")

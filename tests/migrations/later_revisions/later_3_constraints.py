"""A CHECK, a foreign key and a NOT NULL.

Revision: later_3
"""

from __future__ import annotations

from alembic import op

from livingworld.postgres.upgrades.changes import add_check, add_foreign_key, set_not_null
from livingworld.postgres.upgrades.performing import perform

revision = "later_3"
down_revision = "later_2"
branch_labels = None
depends_on = None

STEPS = (
    *add_check("scenes", "ck_scenes_weight_positive", "weight > 0"),
    *add_foreign_key(
        "scenes", "fk_scenes_world_id_teller", ("world_id", "teller"), "characters", ("world_id", "character_id")
    ),
    *set_not_null("scenes", "weight"),
)


def upgrade() -> None:
    perform(STEPS)


def downgrade() -> None:
    op.execute("ALTER TABLE livingworld.scenes ALTER COLUMN weight DROP NOT NULL")
    for constraint in ("ck_scenes_weight_positive", "fk_scenes_world_id_teller"):
        op.execute(f"ALTER TABLE livingworld.scenes DROP CONSTRAINT {constraint}")

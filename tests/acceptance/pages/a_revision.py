"""The newest revision of a later release, to which a database of this one is brought."""

import asyncio
import os
import shutil
from pathlib import Path

from livingworld.postgres import migrations

ours = migrations.script_location
later = Path("migrations").resolve()
shutil.copytree(ours(), later, ignore=shutil.ignore_patterns("__pycache__"))
(later / "versions" / "later.py").write_text(
    f"down_revision = {migrations.revisions()[-1]!r}"
    """
from livingworld.postgres.upgrades.back_fill import back_fill
from livingworld.postgres.upgrades.changes import add_check, add_column, create_index, set_not_null
from livingworld.postgres.upgrades.performing import perform

revision = "later"
# the example stands here
""",
    encoding="utf-8",
)
url = os.environ["LIVINGWORLD_DATABASE_URL"]
try:
    migrations.script_location = lambda: later
    done = asyncio.run(migrations.upgrade(url))
    assert done.revisions == ["later"]
    assert asyncio.run(migrations.status(url)).pending == ()
finally:
    migrations.script_location = ours

"""A release after this one, made of this one's revisions and of those beside this file; and a database to upgrade."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from livingworld.postgres import migrations
from livingworld.testing.staged_races import connected

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
#: What stands between the newest revision of this release and the newest of the later one.
LATER: Final = ["later_1", "later_2", "later_3"]
_FILL: Final = (
    "SET session_replication_role = replica",  # what is loaded is right by construction
    "INSERT INTO livingworld.worlds (world_id, name) VALUES (gen_random_uuid(), 'An old one')",
    """
    INSERT INTO livingworld.stories (world_id, story_id, title)
    SELECT world_id, gen_random_uuid(), 'Story ' || n FROM livingworld.worlds, generate_series(1, {stories}) n
    """,
    """
    INSERT INTO livingworld.scenes
        (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content)
    SELECT world_id, story_id, n, nullif(n - 1, 0), 1, n, 'Low tide. ' || repeat('The lantern moves. ', 20)
    FROM livingworld.stories, generate_series(1, 50) n
    """,
    "ANALYZE livingworld.scenes, livingworld.stories",
)


def make_later_release(folder: Path) -> Path:
    """Make the folder of its migrations, which `livingworld.postgres.migrations.script_location` is to return."""
    shutil.copytree(ROOT / "alembic", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for revision in (HERE / "later_revisions").glob("later_*.py"):
        shutil.copy(revision, folder / "versions")
    return folder


async def fill(url: str, scenes: int) -> None:
    """Put so many scenes of 390 characters into a database, in stories of fifty, by plain SQL."""
    async with connected(url) as connection:
        for statement in _FILL:
            await connection.execute(statement.format(stories=scenes // 50))


async def behind(url: str) -> tuple[str, ...]:
    """Return the revisions that are still to run."""
    return (await migrations.status(url)).pending

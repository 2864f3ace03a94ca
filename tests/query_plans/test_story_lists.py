"""A page of stories costs the same at the start, in the middle and at the end of the list, and beside thousands."""

from __future__ import annotations

import statistics
from typing import Any, Final
from uuid import UUID

import pytest

from livingworld import LivingWorld, World
from livingworld.testing.staged_races import connected
from tests.query_plans.large_world import analyze, fill_world
from tests.query_plans.logged_plans import LoggedPlans, planned_worlds, rows_read

FEW: Final = 30
MANY: Final = 3_000
LIMIT: Final = 5
#: What a page is chosen from: as many rows of each status, archived or not.
CHOSEN_FROM: Final = 6 * (LIMIT + 1)
#: As over a year: each story made and played at another time, one of eight archived, a third of each status.
_SPREAD: Final = (
    """
    UPDATE livingworld.stories
    SET created_at = now() - n * interval '3 hours', last_scene_at = now() - n * interval '2 hours',
        status = (ARRAY['active', 'paused', 'completed'])[1 + n % 3], archived_at = CASE WHEN n % 8 = 0 THEN now() END
    FROM (SELECT story_id AS id, row_number() OVER (ORDER BY story_id)::integer AS n FROM livingworld.stories
          WHERE world_id = $1) AS numbered
    WHERE world_id = $1 AND story_id = id
    """,
    "DELETE FROM livingworld.story_activity WHERE world_id = $1",
    """
    INSERT INTO livingworld.story_activity (world_id, status, archived, last_scene_at, story_id)
    SELECT world_id, status, archived_at IS NOT NULL, last_scene_at, story_id FROM livingworld.stories
    WHERE world_id = $1
    """,
)
LISTS: Final[dict[str, dict[str, Any]]] = {
    "newest": {},
    "last played": {"order": "played"},
    "by title": {"order": "title"},
    "last played, paused": {"order": "played", "status": "paused"},
    "by title, archived too": {"order": "title", "include_archived": True},
}


async def fill(url: str, world_id: UUID, count: int) -> None:
    await fill_world(url, world_id, count)
    async with connected(url) as connection:
        for statement in _SPREAD:
            await connection.execute(statement, world_id)
        await connection.execute("VACUUM")  # what was moved leaves dead entries in the indexes, until autovacuum comes


async def cursors(world: World, options: dict[str, Any]) -> list[str | None]:
    """Return where pages begin at the start, in the middle and near the end of a list."""
    found: list[str | None] = [None]
    while (page := await world.stories.list(after=found[-1], limit=200, **options)).next is not None:
        found.append(page.next)
    last = await world.stories.list(after=found[-1], limit=max(1, len(page.items) - LIMIT), **options)
    return [None, found[len(found) // 2], last.next]


async def pages_read(logged: LoggedPlans, world: World, after: str | None, options: dict[str, Any]) -> float:
    read = []
    for _ in range(11):
        logged.plans.clear()
        await world.stories.list(after=after, limit=LIMIT, **options)
        read.append(logged.buffers())
    return statistics.median(read[6:])


@pytest.mark.parametrize("name", LISTS)
async def test_a_page_costs_the_same_wherever_it_begins(database_url: str, name: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        worlds = [(await livingworld.worlds.create("small")).id, (await livingworld.worlds.create("large")).id]
    for world_id, count in zip(worlds, (FEW, MANY), strict=True):
        await fill(database_url, world_id, count)
    await analyze(database_url)

    options, cost, read = LISTS[name], [], []
    async with planned_worlds(database_url, *worlds) as (opened, logged):
        for world in opened:
            for after in await cursors(world, options):
                cost.append(await pages_read(logged, world, after, options))
                read += [(node["Node Type"], rows_read(node)) for node in logged.nodes()]

    # In the large world each row that is chosen from may lie on a page of its own.
    assert max(cost) <= min(cost) + CHOSEN_FROM, cost
    assert [node for node in read if node[1] > CHOSEN_FROM] == []

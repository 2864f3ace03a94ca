"""A call about one branch reads no other one, however many its story has, before and after statistics are gathered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

import pytest

from livingworld import NewScene, World
from livingworld.testing.staged_races import connected
from tests.query_plans.large_world import analyze
from tests.query_plans.logged_plans import planned

Call = Callable[[World, UUID], Awaitable[object]]

CALLS: Final[dict[str, Call]] = {
    "head": lambda world, story: world.stories.head(story),
    "head of one": lambda world, story: world.stories.head(story, branch=1),
    "recent": lambda world, story: world.stories.recent(story, 5),
    "a page": lambda world, story: world.stories.scenes(story, limit=3),
    "append": lambda world, story: world.stories.append_scene(story, NewScene("Scene.", ["On"])),
    "append with cast": lambda world, story: world.stories.append_scene(story, NewScene("Scene.", (), ["Mara"])),
    "facts": lambda world, story: world.facts.all(story),
    "undo": lambda world, story: world.branches.undo(story),
}
BRANCHES: Final = """
    INSERT INTO livingworld.branches (world_id, story_id, branch_number, name)
    SELECT $1, $2, number, 'branch ' || number FROM generate_series(2, 2000) number
"""
#: Pages more: the index of branches is higher, and a row may lie on another page.
ALLOWANCE: Final = 6


@pytest.mark.slow
@pytest.mark.parametrize("analyzed", [False, True], ids=["fresh", "analysed"])
async def test_a_call_about_one_branch_reads_no_other(database_url: str, world: World, *, analyzed: bool) -> None:
    few, many = [await world.stories.create(title) for title in ("few", "many")]
    for story in (few, many):
        for _ in range(8):
            await world.stories.append_scene(story.id, NewScene("Scene.", ["On"], ["Mara"]))
    async with connected(database_url) as owner:
        await owner.execute(BRANCHES, world.id, many.id)
    if analyzed:
        await analyze(database_url)

    pages: dict[str, list[int]] = {}
    async with planned(database_url, world.id) as (same, logged):
        for name, call in CALLS.items():
            for story in (few, many):
                await call(same, story.id)
                logged.plans.clear()
                await call(same, story.id)
                pages.setdefault(name, []).append(logged.buffers())

    assert {name: each for name, each in pages.items() if each[1] > each[0] + ALLOWANCE} == {}

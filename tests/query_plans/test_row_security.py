"""Row-level security leaves the plans of calls that look rows up as they are, and the pages that they read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event

from livingworld import LivingWorld, NewScene, Settings, Subject, World
from livingworld.story.worlds.isolation import isolate
from livingworld.testing.roles import made_roles
from livingworld.testing.staged_races import connected
from tests.query_plans.large_world import analyze, fill_story, fill_world
from tests.query_plans.logged_plans import LoggedPlans, planned
from tests.support.aftermath import engine_of

Call = Callable[[World, UUID], Awaitable[object]]


async def undo_and_redo(world: World, story_id: UUID) -> None:
    await world.branches.undo(story_id)
    await world.branches.redo(story_id)


async def tell(_: object) -> NewScene:
    return NewScene("Scene.", ["On"], ["person 7"])


CALLS: Final[dict[str, Call]] = {
    "head": lambda world, story: world.stories.head(story),
    "recent": lambda world, story: world.stories.recent(story, 5),
    "scene": lambda world, story: world.stories.scene(story, 1000),
    "fact": lambda world, story: world.facts.get(story, Subject("subject 7"), "mood"),
    "memories": lambda world, story: world.memories.recent(story, k=5),
    "turns": lambda world, story: world.turns.of(story, limit=5),
    "character": lambda world, _: world.characters.get("person 7"),
    "stories": lambda world, _: world.stories.list(limit=5),
    "append": lambda world, story: world.stories.append_scene(story, NewScene("Scene.", ["On"])),
    "append with cast": lambda world, story: world.stories.append_scene(story, NewScene("Scene.", (), ["person 7"])),
    "turn": lambda world, story: world.turns.play(story, tell, request_key=uuid4().hex),
    "undo and redo": undo_and_redo,
}
#: A story has many branches, of which each call is about one.
BRANCHES: Final = """
    INSERT INTO livingworld.branches (world_id, story_id, branch_number, name)
    SELECT $1, $2, number, 'branch ' || number FROM generate_series(2, 2000) number
"""
#: Pages more: a row may lie on another page.
ALLOWANCE: Final = 4


@dataclass(frozen=True)
class Reading:
    """Which indexes a call used, which tables it read as a whole, and how many pages."""

    indexes: set[str]
    whole: set[str]
    pages: int


async def read(url: str, world_id: UUID, story_id: UUID, *, walled: bool) -> dict[str, Reading]:
    """Return what each call read."""
    logged, found = LoggedPlans(), {}
    settings = Settings.load(database_url=url, pool_size=1, row_security=walled)
    async with LivingWorld.open(settings) as livingworld:
        engine = engine_of(livingworld).sync_engine
        event.listen(engine, "connect", lambda raw, _: raw.driver_connection.add_log_listener(logged.hear))
        world = await livingworld.worlds.get(world_id)
        for name, call in CALLS.items():
            await call(world, story_id)
            logged.plans.clear()
            await call(world, story_id)
            nodes = list(logged.nodes())
            used = {node["Index Name"] for node in nodes if "Index Name" in node}
            whole = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}
            found[name] = Reading(used, whole, logged.buffers())
    return found


@pytest.mark.all_worlds("the database is isolated in the test, and not before")
async def test_an_isolated_database_uses_the_same_indexes_and_pages(database_url: str) -> None:
    async with LivingWorld.open(Settings.load(database_url=database_url)) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
    await fill_world(database_url, world.id, 2000)
    await fill_story(database_url, world.id, story.id, 2000)
    async with connected(database_url) as owner:
        await owner.execute(BRANCHES, world.id, story.id)
    await analyze(database_url)
    async with made_roles(database_url) as roles:
        async with planned(database_url, world.id):
            plain = await read(roles.application, world.id, story.id, walled=False)
        await isolate(database_url, on=True, lock_timeout=timedelta(seconds=10))
        walled = await read(roles.application, world.id, story.id, walled=True)

    for name in CALLS:
        assert walled[name].indexes >= plain[name].indexes, name
        assert walled[name].whole <= plain[name].whole, name
    pages = {name: (plain[name].pages, walled[name].pages) for name in CALLS}
    assert {name: each for name, each in pages.items() if each[1] > each[0] + ALLOWANCE} == {}

"""Processes of this release write while a filled database is brought to the next one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest
from pytest_postgresql.executors import NoopExecutor

from livingworld import LivingWorld, NewScene, World
from livingworld.postgres import migrations
from livingworld.testing.databases import DatabaseMaker
from tests.migrations.later_release import LATER, fill
from tests.support.patience import until
from tests.support.rotation import WHOLE
from tests.support.story_checks import broken_promises

SCENES: Final = 200_000 if WHOLE else 5_000
#: What an append may wait for an upgrade.
PROMISED: Final = timedelta(seconds=2)
WRITERS: Final = 4


@dataclass(slots=True)
class Appends:
    """Writers that go on until they are stopped: how many appends they made, and how long the longest took."""

    livingworld: LivingWorld
    stop: asyncio.Event
    longest: float = 0
    count: int = 0
    world_id: UUID | None = None
    stories: list[UUID] = field(default_factory=list)

    async def run(self, writers: int) -> None:
        """Append to as many stories less one: two of several writers share the first."""
        world = await self.livingworld.worlds.create("Saltmarsh")
        self.world_id = world.id
        self.stories = [(await world.stories.create(f"Tale {n}")).id for n in range(max(1, writers - 1))]
        async with asyncio.TaskGroup() as group:
            for number in range(writers):
                group.create_task(self._go_on(world, self.stories[max(0, number - 1)]))

    async def _go_on(self, world: World, story_id: UUID) -> None:
        clock = asyncio.get_running_loop().time
        while not self.stop.is_set():
            began = clock()
            await world.stories.append_scene(story_id, NewScene("The tide turns."))
            self.longest = max(self.longest, clock() - began)
            self.count += 1


@pytest.mark.slow
@pytest.mark.usefixtures("later")
async def test_no_append_waits_long_and_none_fails(
    database_url: str, livingworld: LivingWorld, database_maker: DatabaseMaker, migrated_template: NoopExecutor
) -> None:
    """A writer in another database of the server tells what the machine itself takes."""
    await fill(database_url, SCENES)
    stop = asyncio.Event()
    said: list[str] = []
    clock = asyncio.get_running_loop().time
    with database_maker.database(template=migrated_template.template_dbname) as other_url:
        async with LivingWorld.open(database_url=other_url) as other:
            beside, elsewhere = Appends(livingworld, stop), Appends(other, stop)
            async with asyncio.TaskGroup() as group:
                group.create_task(beside.run(WRITERS))
                group.create_task(elsewhere.run(1))
                await until(lambda: beside.count > WRITERS and elsewhere.count)
                began = clock()
                try:
                    done = await migrations.upgrade(database_url, tell=said.append)
                finally:
                    stop.set()
                took = clock() - began

    numbers = f"{beside.count} appends, longest {beside.longest:.2f} s; elsewhere {elsewhere.longest:.2f} s"
    print(f"{SCENES:,} scenes in {took:.1f} s; {numbers}", *said, sep="\n")  # noqa: T201 - what a soak is for
    assert done.revisions == LATER
    assert beside.longest < PROMISED.total_seconds() + elsewhere.longest, numbers
    assert beside.world_id is not None
    for story_id in beside.stories:
        assert await broken_promises(database_url, beside.world_id, story_id) == []

"""The database under test, and a world in it that two processes have open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from livingworld import LivingWorld, Settings, Story, World
from livingworld.embedded_server import EmbeddedServer
from livingworld.postgres import migrations
from livingworld.testing.remover import remove
from livingworld.testing.stress.observing import direct_url
from livingworld.testing.throw_away_directory import throw_away_directory


@dataclass(frozen=True, slots=True)
class Processes:
    """A world as two processes have it: each with connections and a group commit of its own."""

    url: str
    first: LivingWorld
    second: LivingWorld
    world: World
    elsewhere: World
    story: Story


@pytest.fixture(scope="session")
def conformance_url() -> Iterator[str]:
    """Yield the URL of the database under test, with this release's tables."""
    named = Settings.load().url()
    if named is not None:
        url = named.render_as_string(hide_password=False)
        asyncio.run(migrations.upgrade_if_behind(direct_url(url)))
        yield url
        return
    home = throw_away_directory("livingworld-conformance-")
    try:
        with EmbeddedServer(home) as server:
            asyncio.run(migrations.upgrade(server.url()))
            yield server.url()
    finally:
        remove(home)


@pytest_asyncio.fixture
async def processes(conformance_url: str) -> AsyncIterator[Processes]:
    """Yield a world that is open twice; it is removed at the end."""
    settings = Settings.load(database_url=conformance_url)
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(LivingWorld.open(settings)) for _ in range(2)]
        world = await first.worlds.create("Conformance")
        stack.push_async_callback(first.worlds.purge, world.id)
        story = await world.stories.create("The Causeway")
        yield Processes(conformance_url, first, second, world, await second.worlds.get(world.id), story)

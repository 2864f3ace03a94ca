"""livingworld by its public API, as a program uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from scenes import SampleScene

from livingworld import LivingWorld, NewScene, Settings, World
from livingworld.postgres import migrations
from peers import CONNECTIONS


class LivingWorldApi:
    """One world."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def begin(self, count: int) -> Sequence[UUID]:
        """Begin so many stories."""
        return [(await self.world.stories.create("benchmark")).id for _ in range(count)]

    async def append(self, story_id: UUID, scene: SampleScene) -> object:
        """Append a scene."""
        return await self.world.stories.append_scene(story_id, NewScene(scene.content, scene.choices))

    async def stored(self, story_ids: Sequence[UUID]) -> int:
        """Return how many scenes are on the paths of these stories."""
        heads = [await self.world.stories.head(story_id) for story_id in story_ids]
        assert all(head.branch.length == head.story.scene_count for head in heads)
        return sum(head.branch.length for head in heads)


async def prepare(url: str) -> str:
    """Make the tables and a world."""
    await migrations.upgrade(url)
    async with LivingWorld.open(Settings.load(database_url=url)) as livingworld:
        return str((await livingworld.worlds.create("benchmark")).id)


@asynccontextmanager
async def opened(url: str, space: str) -> AsyncIterator[LivingWorldApi]:
    """Open the world."""
    settings = Settings.load(database_url=url, pool_size=CONNECTIONS)
    async with LivingWorld.open(settings) as livingworld:
        yield LivingWorldApi(await livingworld.worlds.get(UUID(space)))

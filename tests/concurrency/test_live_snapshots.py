"""A snapshot and the number of its last event: what comes after that number is exactly what is not in the snapshot."""

from __future__ import annotations

import asyncio

import pytest

from livingworld import LivingWorld, NewScene, Story, TransactionScope, World
from livingworld.errors import Closed, InvalidInput, StoryNotFound
from livingworld.identifiers import new_id
from livingworld.postgres.transactions.admission import outside
from tests.support.live_checks import append, nothing_more, numbers
from tests.support.patience import patiently
from tests.support.staging import elsewhere


async def test_what_is_committed_while_a_snapshot_is_read_comes_after_it(
    database_url: str, world: World, story: Story
) -> None:
    await append(world, story.id, 1)

    async def read(tx: TransactionScope) -> tuple[int, int]:
        before = (await tx.stories.get(story.id)).scene_count
        await asyncio.create_task(append(world, story.id, 2), context=outside())
        return before, (await tx.stories.get(story.id)).scene_count

    snapshot = await world.live.snapshot(read, story=story.id)
    assert snapshot.state == (1, 1)
    async with LivingWorld.open(database_url=database_url) as second:
        there = await second.worlds.get(world.id)
        async with there.live.subscribe(story=story.id, after=snapshot.number) as events:
            assert await numbers(events, 2) == [snapshot.number + 1, snapshot.number + 2]
            assert await nothing_more(events)


async def test_what_is_published_and_not_committed_is_in_neither(world: World, story: Story) -> None:
    async def count(tx: TransactionScope) -> int:
        return (await tx.stories.get(story.id)).scene_count

    async with world.live.subscribe(story=story.id):
        async with elsewhere(world.transaction()) as tx:
            await tx.stories.append_scene(story.id, NewScene("x"))
            await tx._transaction.store_all()
            async with patiently():  # it waits for no writer
                early = await world.live.snapshot(count, story=story.id)
        late = await world.live.snapshot(count, story=story.id)
    assert (early, late) == ((0, 0), (1, 1))


async def test_every_snapshot_beside_many_writers_belongs_to_its_number(world: World, story: Story) -> None:
    """Each append has one event, so the number counts the scenes."""

    async def count(tx: TransactionScope) -> int:
        return (await tx.stories.head(story.id)).story.scene_count

    first = await world.live.snapshot(count, story=story.id)
    writing = asyncio.gather(*(append(world, story.id, 15) for _ in range(4)))
    while not writing.done():
        found = await world.live.snapshot(count, story=story.id)
        assert found.state - first.state == found.number - first.number
    await writing


async def test_a_snapshot_takes_no_writes(world: World, story: Story) -> None:
    async def write(tx: TransactionScope) -> None:
        await tx.stories.append_scene(story.id, NewScene("x"))

    with pytest.raises(InvalidInput, match="read: must only read"):
        await world.live.snapshot(write, story=story.id)
    with pytest.raises(InvalidInput, match="read"):
        await world.live.snapshot(None, story=story.id)  # type: ignore[arg-type]
    assert (await world.stories.get(story.id)).scene_count == 0


async def test_a_snapshot_of_what_does_not_exist_is_refused(database_url: str, world: World) -> None:
    async def nothing(_: TransactionScope) -> None: ...

    with pytest.raises(StoryNotFound):
        await world.live.snapshot(nothing, story=new_id())
    async with LivingWorld.open(database_url=database_url) as second:
        there = await second.worlds.get(world.id)
    with pytest.raises(Closed):
        await there.live.snapshot(nothing)

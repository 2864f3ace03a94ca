"""Known failures of other stores with rows that several writers want, staged against this one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

from livingworld import LivingWorld, NewMemory, NewScene, Settings, Story, TransactionScope, World
from livingworld.errors import Conflict, LockOrderViolation, StoryNotFound
from livingworld.testing.staged_races import holding
from tests.support.staging import deadlocks

THE_WORLD = "SELECT FROM livingworld.worlds WHERE world_id = $1 FOR UPDATE"
THE_STORY = "SELECT FROM livingworld.stories WHERE story_id = $1 FOR UPDATE"


async def test_equal_get_or_create_calls_all_succeed(database_url: str, world: World) -> None:
    """https://github.com/litestar-org/litestar-fullstack/pull/179

    Of four equal `get_or_upsert` at once the first succeeds and three raise IntegrityError. Here all of them wait at
    the same moment, one makes the row, and all receive it.
    """
    async with LivingWorld.open(Settings.load(database_url=database_url)) as second:
        elsewhere = await second.worlds.get(world.id)
        async with holding(database_url, THE_WORLD, [world.id]) as holder:
            making = [
                asyncio.create_task(each.characters.get_or_create("Mara"))
                for _ in range(4)
                for each in (world, elsewhere)
            ]
            await holder.until_blocked(count=2)
        made = await asyncio.gather(*making)

        stories = await asyncio.gather(*(each.stories.get_or_create("save") for each in (world, elsewhere) * 4))
    assert len({character.id for character, _ in made}) == 1
    assert sorted(is_new for _, is_new in made) == [False] * 7 + [True]
    assert len({story.id for story, _ in stories}) == 1


async def test_two_agents_never_claim_one_item(database_url: str, world: World) -> None:
    """https://github.com/anthropics/claude-code/issues/22239

    Three workers list the tasks and then mark one as theirs; two see the same one, and both do it. Here a claim looks
    and marks in one statement: each of six items has one worker, and its end is stored once.
    """
    for number in range(6):
        await world.actions.enqueue(f"item {number}", "walk", {"item": number})
    async with LivingWorld.open(Settings.load(database_url=database_url)) as second:
        elsewhere = await second.worlds.get(world.id)
        claiming = (each.actions.claim(2) for _ in range(6) for each in (world, elsewhere))
        claimed = [action for actions in await asyncio.gather(*claiming) for action in actions]
        assert sorted(action.payload["item"] for action in claimed) == list(range(6))

        ending = (each.actions.complete(action) for action in claimed for each in (world, elsewhere))
        await asyncio.gather(*ending)
        assert list(await elsewhere.actions.claim(5)) == []


async def test_an_item_of_a_silent_agent_is_ended_by_one_of_the_two(world: World) -> None:
    """https://github.com/anthropics/claude-code/issues/22239: the same, when the first one comes back."""
    await world.actions.enqueue("item", "walk")
    (first,) = await world.actions.claim(ttl=timedelta(minutes=5))
    released = await world.actions.release(first)
    (second,) = await world.actions.claim()

    results = await asyncio.gather(
        world.actions.complete(first), world.actions.complete(second), return_exceptions=True
    )
    assert [isinstance(result, Conflict) for result in results] == [True, False]
    assert (await world.actions.get(released.id)).state == "done"


async def test_opposite_orders_of_rows_are_no_deadlock(database_url: str, world: World, story: Story) -> None:
    """https://github.com/kagent-dev/kagent/issues/2135 and https://github.com/PrefectHQ/prefect/issues/17767

    Several writers update overlapping rows, each in the order in which it found them; PostgreSQL ends one after the
    other (SQLSTATE 40P01). Here rows are locked in one declared order, whatever order a caller has.
    """
    names = ["Mara", "Tom", "Ife", "Wren"]
    characters = [character.id for character, _ in await world.characters.get_or_create_many(names)]
    await world.stories.append_scene(story.id, NewScene("One."))

    async def write(seed: int) -> None:
        order = characters[seed % 4 :] + characters[: seed % 4]
        for one, other in pairwise(order):
            await world.relationships.adjust(story.id, one, other, trust=0.01)
        await world.memories.add(story.id, [NewMemory(f"{seed} {character}", character) for character in order])
        await world.characters.get_or_create_many([names[(seed + place) % 4] for place in range(4)])

        async def unit(tx: TransactionScope) -> None:
            for key in ("a", "b") if seed % 2 else ("b", "a"):
                await tx.documents.increment(key)

        with suppress(LockOrderViolation):  # out of order, and held by another one: refused at once
            await world.run(unit)

    before = await deadlocks(database_url)
    await asyncio.gather(*map(write, range(24)))
    assert await deadlocks(database_url) == before


async def test_overlapping_removals_of_linked_memories_are_no_deadlock(
    database_url: str, world: World, story: Story
) -> None:
    """https://github.com/vectorize-io/hindsight/issues/2560: 434 deadlocks in one install

    Two deletes of linked memories reach the links by a cascade, each in the order of its plan, and PostgreSQL ends
    one of them. Here whoever removes memories locks their stories before, by their ids: of removals that overlap, in
    opposite orders, each finds what the one before it has left.
    """
    there = sorted([story, await world.stories.create("The Mill")], key=lambda each: each.id)
    ids = [linked for each in there for linked in await linked_memories(world, each)]
    before = await deadlocks(database_url)

    async with LivingWorld.open(Settings.load(database_url=database_url)) as second:
        elsewhere = await second.worlds.get(world.id)
        async with holding(database_url, THE_STORY, [there[0].id]) as holder:
            orders = zip((world, elsewhere), (ids[:5], ids[:0:-1]), strict=True)
            forgetting = [asyncio.create_task(each.memories.forget(order)) for each, order in orders]
            await holder.until_blocked(count=2)
        assert sum(await asyncio.gather(*forgetting)) == len(ids)

        async with holding(database_url, THE_STORY, [there[0].id]) as holder:
            pairs = [(each, one) for each in (world, elsewhere) for one in there]
            purging = [asyncio.create_task(each.stories.purge(one.id)) for each, one in pairs]
            await holder.until_blocked(count=2)
        ends = await asyncio.gather(*purging, return_exceptions=True)
    assert [end for end in ends if end is not None and not isinstance(end, StoryNotFound)] == []
    assert await deadlocks(database_url) == before


async def linked_memories(world: World, story: Story) -> list[UUID]:
    """Write three memories of a story, one of which stands for the two others, and return their ids."""
    await world.characters.get_or_create("Mara")
    parts = [
        memory
        for memory, _ in await world.memories.add(story.id, [NewMemory("Rain.", "Mara"), NewMemory("Ice.", "Mara")])
    ]
    summary = await world.memories.consolidate(story.id, [part.id for part in parts], NewMemory("Weather.", "Mara"))
    return [*(part.id for part in parts), summary.id]

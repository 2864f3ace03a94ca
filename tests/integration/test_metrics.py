from __future__ import annotations

import asyncio

import pytest

from livingworld import Distribution, LivingWorld, NewMemory, NewScene, Story, World
from livingworld.errors import InvalidInput, StaleHead, StoryNotFound, VersionConflict, WrongEventLoop
from livingworld.identifiers import new_id
from livingworld.settings.database_url import parse_url
from livingworld.testing.staged_races import holding
from tests.support.patience import patiently, until
from tests.support.staging import THE_STORY


async def test_appends_are_counted_by_groups_statements_and_units(
    livingworld: LivingWorld, world: World, story: Story
) -> None:
    livingworld.metrics(reader="test")
    await asyncio.gather(*(world.stories.append_scene(story.id, NewScene("on")) for _ in range(20)))
    seen = livingworld.metrics(reader="test")

    sizes = seen.distribution("livingworld.group.size", {"kind": "append"})
    waits = seen.distribution("livingworld.group.queue_time", {"kind": "append"})
    statements = seen.distribution("db.client.operation.duration", {"db.operation.name": "append_scenes"})
    units = seen.distribution("livingworld.unit.duration", {"outcome": "committed"})
    assert waits.count == 20
    assert sizes.sum >= 20, "a group that takes too long on a busy machine is sent again in parts"
    assert sizes.count == statements.count
    assert units.count >= 1
    assert statements.sum > 0
    assert seen.total("livingworld.group.waiting") == seen.total("livingworld.calls.unanswered") == 0
    assert seen.distribution("db.client.connection.wait_time").count >= statements.count
    pool = {"db.client.connection.pool.name": "work"}
    connections = seen.total("db.client.connection.count", pool)
    assert 0 < connections <= seen.total("db.client.connection.max", pool)


async def test_operations_on_memories_are_counted_by_the_names_of_the_conventions(
    livingworld: LivingWorld, world: World, story: Story
) -> None:
    ((memory, _),) = await world.memories.add(story.id, [NewMemory("The tide took the lamp.")])
    await world.memories.recall(story.id, "lamp")
    with pytest.raises(VersionConflict):
        await world.memories.update(memory.id, expected_version=7, importance=0.1)
    await world.memories.forget([memory.id])
    seen = livingworld.metrics().of("gen_ai.client.operation.duration")

    counted = {
        (each.attributes["gen_ai.operation.name"], each.attributes.get("error.type")): each.value for each in seen
    }
    assert {key: value.count for key, value in counted.items() if isinstance(value, Distribution)} == {
        ("create_memory", None): 1,
        ("search_memory", None): 1,
        ("update_memory", "VersionConflict"): 1,
        ("delete_memory", None): 1,
    }


async def test_refusals_are_counted_by_their_error(livingworld: LivingWorld, world: World, story: Story) -> None:
    with pytest.raises(StaleHead):
        await world.stories.append_scene(story.id, NewScene("late"), expected_head=7)
    with pytest.raises(StoryNotFound):
        await world.stories.get(new_id())
    seen = livingworld.metrics()

    assert seen.total("livingworld.conflicts", {"error.type": "StaleHead"}) == 1
    assert seen.total("livingworld.conflicts") == 1
    assert seen.distribution("livingworld.unit.duration", {"error.type": "StoryNotFound"}).count == 1


async def test_metrics_belong_to_one_livingworld_and_its_loop(
    livingworld: LivingWorld, world: World, database_url: str
) -> None:
    async with LivingWorld.open(database_url=database_url) as other:
        assert other.metrics().distribution("livingworld.unit.duration").count == 0
    with pytest.raises(WrongEventLoop):
        await asyncio.to_thread(livingworld.metrics)
    with pytest.raises(InvalidInput):
        livingworld.metrics(reader="x" * 10_000)


async def test_the_wait_for_a_held_row_is_measured(
    livingworld: LivingWorld, world: World, story: Story, database_url: str
) -> None:
    async with holding(database_url, THE_STORY, [world.id, story.id]):
        waiting = asyncio.create_task(world.stories.update(story.id, expected_version=1, title="late"))
        await until(lambda: livingworld.metrics().total("livingworld.unit.lock_queue") == 1)
    async with patiently():
        await waiting
    seen = livingworld.metrics()

    assert seen.distribution("livingworld.unit.lock_wait", {"outcome": "went on"}).count == 1
    failed = seen.of("db.client.operation.duration", {"db.response.status_code": "55P03"})
    assert {each.attributes["error.type"] for each in failed} == {"LockTimeout"}
    assert {each.attributes["db.namespace"] for each in failed} == {parse_url(database_url).database}
    assert seen.total("livingworld.unit.lock_queue") == 0

"""Writers of world state at one moment: each decides on what is there under the story's lock."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest_asyncio

from livingworld import NewMemory, NewScene, NewState, RelationshipChange, Story, Subject, World
from livingworld.errors import SerializationFailure
from livingworld.testing.staged_races import connected, holding, until_blocked
from tests.support.staging import THE_STORY, kinds, race, same_world, stop
from tests.support.turn_checks import rows

THE_EMBEDDER = "SELECT FROM livingworld.memory_embedders WHERE world_id = $1 FOR UPDATE"


@pytest_asyncio.fixture
async def people(world: World) -> tuple[UUID, UUID]:
    (mara, _), (tom, _) = await world.characters.get_or_create_many(["Mara", "Tom"])
    return mara.id, tom.id


async def test_of_eight_who_compare_one_version_one_sets_the_fact(
    database_url: str, world: World, story: Story
) -> None:
    seen = await world.facts.set(story.id, Subject("lamp"), "lit", "no")
    async with same_world(database_url, world.id, pools=4) as worlds:
        writers = [
            worlds[n % 4].facts.compare_and_set(story.id, Subject("lamp"), "lit", n, expected_version=seen.version)
            for n in range(8)
        ]
        results = await race(database_url, THE_STORY, [world.id, story.id], writers, blocked=8)

    assert kinds(results) == ["Fact"] + ["VersionConflict"] * 7
    winner = next(number for number, result in enumerate(results) if not isinstance(result, BaseException))
    assert [fact.value for fact in await world.facts.history(story.id, Subject("lamp"), "lit")] == ["no", winner]


async def test_a_fact_stands_where_the_head_is_under_the_lock(database_url: str, world: World, story: Story) -> None:
    for number in range(3):
        await world.stories.append_scene(story.id, NewScene(f"{number}"))
    async with holding(database_url, THE_STORY, [world.id, story.id]) as holder:
        undo = asyncio.create_task(world.branches.undo(story.id, 2))
        await holder.until_blocked(count=1)
        fact = asyncio.create_task(world.facts.set(story.id, Subject("lamp"), "lit", "no"))
        await holder.until_blocked(count=2)
    await asyncio.gather(undo, fact)

    assert fact.result().scene_number == 1
    assert await world.facts.get(story.id, Subject("lamp"), "lit") is not None


async def test_opposite_pairs_adjusted_at_once_never_deadlock_and_every_change_counts(
    database_url: str, world: World, story: Story, people: tuple[UUID, UUID]
) -> None:
    mara, tom = people
    both = [RelationshipChange(mara, tom, trust=0.01), RelationshipChange(tom, mara, trust=-0.01)]
    async with same_world(database_url, world.id, pools=4, pool_size=8) as worlds:
        writers = [worlds[n % 4].relationships.adjust_many(story.id, both[:: 1 if n % 2 else -1]) for n in range(32)]
        results = await race(database_url, THE_STORY, [world.id, story.id], writers, blocked=8)

    assert not [result for result in results if isinstance(result, BaseException)]
    felt = {each.source: each for each in await world.relationships.graph(story.id)}
    assert (felt[mara].changes, felt[tom].changes) == (32, 32)
    assert (round(felt[mara].trust, 9), round(felt[tom].trust, 9)) == (0.32, -0.32)
    deadlocks = await rows(database_url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks == [(0,)]


async def test_of_twelve_who_remember_one_text_one_makes_the_memory(
    database_url: str, world: World, story: Story
) -> None:
    async with same_world(database_url, world.id, pools=4) as worlds:
        writers = [worlds[n % 4].memories.add(story.id, [NewMemory("the lamp")]) for n in range(12)]
        results = await race(database_url, THE_STORY, [world.id, story.id], writers, blocked=12)

    answers = [answer for result in results if not isinstance(result, BaseException) for answer in result]
    assert sorted(created for _, created in answers) == [False] * 11 + [True]
    assert len({memory.id for memory, _ in answers}) == 1


async def test_a_memory_is_a_part_of_one_summary_in_any_order_and_with_any_call_cancelled(
    database_url: str, world: World, story: Story, people: tuple[UUID, UUID]
) -> None:
    mara, _ = people
    added = await world.memories.add(story.id, [NewMemory(f"part {n}", mara) for n in range(5)])
    ids = [memory.id for memory, _ in added]
    async with same_world(database_url, world.id, pools=4) as worlds:
        calls = [worlds[n % 4].memories.consolidate(story.id, ids, NewMemory(f"summary {n}", mara)) for n in range(4)]
        async with holding(database_url, THE_STORY, [world.id, story.id]) as holder:
            first = asyncio.create_task(calls[0])
            await holder.until_blocked(count=1)
            rest = [asyncio.create_task(call) for call in calls[1:]]
            await holder.until_blocked(count=4)
            await stop([first])
        results = await asyncio.gather(*rest, return_exceptions=True)

    assert kinds(results) == ["AlreadyConsolidated", "AlreadyConsolidated", "Memory"]
    (summary,) = [result for result in results if not isinstance(result, BaseException)]
    parts = await rows(
        database_url,
        "SELECT consolidated_into, count(*) FROM livingworld.memories WHERE memory_id = ANY ($1) GROUP BY 1",
        ids,
    )
    assert [(UUID(int=into.int), count) for into, count in parts] == [(summary.id, 5)]
    assert [memory.id for memory in await world.memories.recent(story.id, character=mara)] == [summary.id]


async def test_a_memory_written_while_the_embedder_changes_gets_its_job(
    database_url: str, world: World, story: Story
) -> None:
    await world.memories.use_embedder("old", 2)
    async with connected(database_url) as writer:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute(
            "SELECT livingworld.write_memories_v1($1, $2, 1, 0, 0, $3, '{}')",
            world.id,
            story.id,
            '[{"memory_id": "0193b5b0-0000-7000-8000-000000000000", "kind": "event", "content": "x", "private": false,'
            f' "digest": "{"00" * 32}", "importance": 0.5, "valence": 0}}]',
        )
        change = asyncio.create_task(world.memories.use_embedder("new", 3))
        async with connected(database_url) as observer:
            await until_blocked(observer, by=writer.get_server_pid(), count=1)
        await transaction.commit()
    await change

    jobs = await rows(database_url, "SELECT embedder FROM livingworld.memory_embedding_jobs ORDER BY embedder")
    assert jobs == [("new",), ("old",)]


async def test_a_turn_and_a_writer_of_state_do_not_mix(
    database_url: str, world: World, story: Story, people: tuple[UUID, UUID]
) -> None:
    """Twelve turns from one head and twelve single changes: one turn commits, every change counts, none is half."""
    mara, tom = people

    async def turn(number: int) -> object:
        async with world.turns.take(story.id, request_key=f"{number}", busy="queue", expected_head=0) as taken:
            return await taken.commit(
                NewScene("x"), NewState(relationships=[RelationshipChange(mara, tom, trust=0.01)] * 2)
            )

    async def change() -> object:
        return await world.relationships.adjust(story.id, mara, tom, trust=0.01)

    tasks = [turn(number) for number in range(6)] + [change() for _ in range(12)]
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert not [result for result in results if isinstance(result, SerializationFailure)]
    assert kinds(results[:6]) == ["Scene"] + ["StaleHead"] * 5
    felt = await world.relationships.between(story.id, mara, tom)
    assert felt is not None
    assert (felt.changes, round(felt.trust, 9)) == (14, 0.14)

"""The LivingWorld is closed while calls are under way: each is carried out or refused, and nothing stays open."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable

import pytest

from livingworld import LivingWorld, NewScene, Scene, Story, World
from livingworld.errors import Closed, CommitUnknown
from livingworld.testing.staged_races import Connection
from tests.support.aftermath import count, eventually
from tests.support.patience import patiently

OURS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'livingworld'"

pytestmark = pytest.mark.usefixtures("strict_loop")


def append(world: World, story: Story, number: int) -> Awaitable[Scene]:
    scene = NewScene(f"Scene {number}.", cast=[f"Person {number}"] if number % 4 == 0 else ())
    return world.stories.append_scene(story.id, scene, request_key=f"key-{number}" if number % 2 else None)


async def assert_no_session(observer: Connection) -> None:
    async def none() -> bool:
        return bool(await observer.fetchval(f"SELECT count(*) {OURS}") == 0)

    assert await eventually(none)


@pytest.mark.direct_connection("sessions of the server are counted")
@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233])
async def test_appends_under_way_are_stored_or_refused(turns: int, database_url: str, observer: Connection) -> None:
    before = asyncio.all_tasks()
    async with LivingWorld.open(database_url=database_url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        tasks = [asyncio.ensure_future(append(world, story, number)) for number in range(32)]
        for _ in range(turns):
            await asyncio.sleep(0)
    async with patiently():
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    gc.collect()

    stored = {answer.content for answer in answers if isinstance(answer, Scene)}
    assert all(isinstance(answer, Scene | Closed) for answer in answers), answers
    assert {row["content"] for row in await observer.fetch("SELECT content FROM livingworld.scenes")} == stored
    await assert_no_session(observer)
    assert asyncio.all_tasks() == before


@pytest.mark.direct_connection("sessions of the server are counted")
async def test_writers_that_never_stop_do_not_keep_it_open(database_url: str, observer: Connection) -> None:
    acknowledged = 0
    enough = asyncio.Event()

    async def write(world: World, story: Story) -> None:
        nonlocal acknowledged
        while True:
            await append(world, story, 2)
            acknowledged += 1
            if acknowledged == 20:
                enough.set()

    async with patiently():
        async with LivingWorld.open(database_url=database_url) as livingworld:
            world = await livingworld.worlds.create("Saltmarsh")
            stories = [await world.stories.create("The Causeway") for _ in range(4)]
            writers = [asyncio.ensure_future(write(world, story)) for story in stories]
            await enough.wait()
        answers = await asyncio.gather(*writers, return_exceptions=True)

    assert [type(answer) for answer in answers] == [Closed] * 4
    assert await count(observer, "scenes") == acknowledged
    await assert_no_session(observer)


@pytest.mark.direct_connection("sessions of the server are counted")
async def test_a_closed_livingworld_refuses_every_call(database_url: str, observer: Connection) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
    calls = [
        append(world, story, 0),
        append(world, story, 1),
        world.stories.head(story.id),
        world.characters.get_or_create("Mara"),
        livingworld.worlds.create("Another"),
    ]

    for call in calls:
        with pytest.raises(Closed):
            await call
    with pytest.raises(Closed):
        async with world.transaction() as tx:
            await tx.characters.get_or_create("Mara")

    assert await count(observer, "scenes") == 0
    await assert_no_session(observer)


@pytest.mark.direct_connection("sessions of the server are counted")
async def test_a_transaction_that_outlives_its_livingworld_keeps_no_connection_open(
    database_url: str, observer: Connection
) -> None:
    closed = asyncio.Event()

    async def late(world: World) -> None:
        async with world.transaction() as tx:
            await tx.characters.get_or_create("Mara")
            started.set()
            await closed.wait()

    started = asyncio.Event()
    async with LivingWorld.open(database_url=database_url) as livingworld:
        task = asyncio.create_task(late(await livingworld.worlds.create("Saltmarsh")))
        await started.wait()
    closed.set()
    await task

    assert await count(observer, "characters") == 1
    await assert_no_session(observer)


@pytest.mark.direct_connection("sessions of the server are counted")
async def test_closing_does_not_hang_when_the_sessions_have_ended(database_url: str, observer: Connection) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        tasks = [asyncio.ensure_future(append(world, story, number)) for number in range(1, 8, 2)]
        await asyncio.sleep(0)
        await observer.execute(f"SELECT pg_terminate_backend(pid) {OURS}")
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(isinstance(answer, Scene | Closed | CommitUnknown) for answer in answers), answers
    await assert_no_session(observer)

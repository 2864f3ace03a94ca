"""What no notification brings is found by one statement for all worlds of a process."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from livingworld import LivingWorld, NewScene, Settings, Story, World
from livingworld.errors import StoryNotFound
from livingworld.live.hub import LiveHub
from livingworld.testing.protocol_proxy import protocol_proxy
from livingworld.testing.staged_races import connected
from tests.support.live_checks import append, numbers, take
from tests.support.patience import NEVER, until
from tests.support.quiet import open_quietly
from tests.support.run_role import url_of_the_run
from tests.support.turn_checks import until_found

IT_LISTENS: Final = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
SILENTLY: Final = "SELECT livingworld.publish_events_v1($1, ARRAY[$2::uuid], ARRAY['scene appended'], ARRAY['{}'])"
PURGE: Final = "DELETE FROM livingworld.live_streams WHERE stream_id = $1"


@pytest.mark.direct_connection("a pooler takes limits in the transaction, which are statements more")
@pytest.mark.all_worlds("a transaction that is shown one world polls the streams of one")
async def test_one_statement_looks_at_all_streams_of_all_worlds(database_url: str) -> None:
    async with protocol_proxy(database_url) as proxy, AsyncExitStack() as stack:
        quiet = open_quietly(proxy.url, poll_interval=NEVER, turn_lease=4 * NEVER)
        livingworld = await stack.enter_async_context(quiet)
        followed = []
        for _ in range(5):
            world = await livingworld.worlds.create("Saltmarsh")
            story = await world.stories.create("The Causeway")
            await stack.enter_async_context(world.live.subscribe())
            followed.append((world, story, await stack.enter_async_context(world.live.subscribe(story=story.id))))
        polling = world.live._hub._polling
        await until_found(database_url, IT_LISTENS)
        await polling.poll()  # a new connection asks for the types first
        proxy.statements.clear()
        await polling.poll()
        assert len(proxy.statements) == 1, proxy.statements

        async with connected(database_url) as silent:
            for world, story, _ in followed:
                await silent.execute(SILENTLY, world.id, story.id)
        await polling.poll()
        for _, _, events in followed:
            assert await numbers(events, 1) == [1]


async def test_an_event_is_read_once_for_all_subscribers_and_a_notification_of_ones_own_causes_no_second_look(
    database_url: str,
) -> None:
    async with protocol_proxy(database_url) as proxy, AsyncExitStack() as stack:
        quiet = open_quietly(proxy.url, poll_interval=NEVER, turn_lease=4 * NEVER)
        livingworld = await stack.enter_async_context(quiet)
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        all_events = [await stack.enter_async_context(world.live.subscribe(story=story.id)) for _ in range(50)]
        await until_found(database_url, IT_LISTENS)
        for number in (1, 2, 3):
            proxy.statements.clear()
            await append(world, story.id, 1)
            for events in all_events:
                assert await numbers(events, 1) == [number]

        reads = [statement for statement in proxy.statements if "live_events" in statement]
        assert len(reads) <= 1, reads


async def test_an_event_whose_writer_died_before_its_notification_is_found_when_polls_are_rare(
    database_url: str,
) -> None:
    settings = Settings.load(database_url=database_url, poll_interval=timedelta(milliseconds=10))
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        async with world.live.subscribe(story=story.id) as events, connected(database_url) as silent:
            await until_found(database_url, IT_LISTENS)
            for number in (1, 2, 3):
                await silent.execute(SILENTLY, world.id, story.id)
                assert await numbers(events, 1) == [number]


async def test_a_notification_that_comes_before_its_commit_makes_the_process_look_again(
    database_url: str, world: World, story: Story
) -> None:
    settings = Settings.load(database_url=database_url, behind_pooler=True, poll_interval=NEVER, turn_lease=4 * NEVER)
    engine = create_async_engine(url_of_the_run(database_url))
    async with LivingWorld.open(settings) as livingworld, engine.connect() as connection:
        here = await livingworld.worlds.get(world.id)
        async with here.live.subscribe(story=story.id) as events:
            polling = here.live._hub._polling
            async with here.join(connection) as tx:
                await tx.stories.append_scene(story.id, NewScene("x"))
            await until(lambda: polling._subscription._timer is not None)
            await connection.commit()
            polling._subscription._wake_on_time()
            assert await numbers(events, 1) == [1]
    await engine.dispose()


async def test_a_stream_that_is_gone_without_a_notification_ends_the_iteration(
    database_url: str, world: World, story: Story
) -> None:
    async with world.live.subscribe(story=story.id) as events, connected(database_url) as silent:
        await silent.execute(PURGE, story.id)
        with pytest.raises(StoryNotFound):
            await take(events, 1)


async def test_a_purge_of_a_story_is_heard_without_polling(database_url: str) -> None:
    settings = Settings.load(database_url=database_url, behind_pooler=True, poll_interval=NEVER, turn_lease=4 * NEVER)
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        other = await world.stories.create("Another")
        async with world.live.subscribe(story=story.id) as events, world.live.subscribe(story=other.id) as others:
            await world.stories.purge(story.id)
            with pytest.raises(StoryNotFound):
                await take(events, 1)
            await append(world, other.id, 1)
            assert await numbers(others, 1) == [1]


async def test_a_world_that_is_followed_no_more_is_not_polled(livingworld: LivingWorld, story: Story) -> None:
    world = await livingworld.worlds.create("Saltmarsh")
    polling = world.live._hub._polling
    other = await world.stories.create("x")
    async with world.live.subscribe(story=other.id):
        assert [type(each) for each in polling._followed] == [LiveHub]
    assert polling._followed == set()
    assert story.id != other.id

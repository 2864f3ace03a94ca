"""A follow begins beside a writer: the write is published, or was committed before the follow had begun."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final
from uuid import UUID

from sqlalchemy import text

from livingworld import LivingWorld, NewScene, Story, TransactionScope, World
from livingworld.testing.staged_races import Connection, connected, holding, until_blocked
from tests.support.live_checks import append, nothing_more, numbers
from tests.support.patience import patiently
from tests.support.staging import THE_STORY, elsewhere
from tests.support.turn_checks import rows

FOLLOW_THE_STORY: Final = """
    WITH held AS (SELECT world_id, story_id FROM livingworld.stories WHERE world_id = $1 AND story_id = $2
                  FOR NO KEY UPDATE)
    INSERT INTO livingworld.live_streams (world_id, stream_id, followed_until)
    SELECT world_id, story_id, now() + interval '10 minutes' FROM held
"""
FOLLOW_THE_WORLD: Final = """
    WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended('livingworld live ' || $1::uuid, 0)))
    INSERT INTO livingworld.live_streams (world_id, stream_id, followed_until)
    SELECT $1, $1, now() + interval '10 minutes' FROM held
"""
#: As a follow does that has locked the story's row before.
FOLLOW_QUIETLY: Final = """
    WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended('livingworld live ' || $2::uuid, 0)))
    INSERT INTO livingworld.live_streams (world_id, stream_id, followed_until)
    SELECT $1, $2, now() + interval '10 minutes' FROM held
"""
APPEND: Final = """
    SELECT FROM livingworld.append_scenes_v1($1, true, true, ARRAY[$2::uuid], NULL, NULL, ARRAY['x'],
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
"""
KINDS: Final = "SELECT kind FROM livingworld.live_events WHERE stream_id = $1 ORDER BY event_number"


async def session_of(tx: TransactionScope) -> int:
    number: int = await tx._transaction.scalar(text("SELECT pg_backend_pid()"))
    return number


async def follow_behind(
    tx: TransactionScope, world: World, observer: Connection, story: UUID | None = None, session: UUID | None = None
) -> asyncio.Task[int]:
    """Begin to follow while the transaction has published already and is not committed; return once it waits."""
    await tx._transaction.store_all()

    async def present() -> int:
        async with world.live.subscribe(story=story, session=session) as events:
            found = (await world.stories.get(story)).scene_count if story else len((await world.documents.list()).items)
            assert await nothing_more(events)
            return found

    task = asyncio.create_task(present())
    await until_blocked(observer, by=await session_of(tx))
    return task


async def test_a_follow_waits_for_a_writer_of_the_story_and_finds_what_it_wrote(
    database_url: str, world: World, story: Story
) -> None:
    async with connected(database_url) as observer:
        async with elsewhere(world.transaction()) as tx:
            await tx.stories.append_scene(story.id, NewScene("x"))
            following = await follow_behind(tx, world, observer, story=story.id)
        assert await following == 1
    assert await rows(database_url, KINDS, story.id) == []


async def test_a_follow_waits_for_a_writer_of_one_statement(database_url: str, world: World, story: Story) -> None:
    async with holding(database_url, APPEND, [world.id, story.id], commit=True) as holder:
        following = world.live.subscribe(story=story.id)
        entering = asyncio.create_task(following.__aenter__())
        await holder.until_blocked()
    await entering
    assert (await world.stories.get(story.id)).scene_count == 1
    await following.__aexit__(None, None, None)


async def test_a_follow_waits_for_a_writer_of_the_session(database_url: str, world: World) -> None:
    session = await world.sessions.open()
    async with connected(database_url) as observer:
        async with elsewhere(world.transaction()) as tx:
            await tx.interactions.add(session.id, "x")
            following = await follow_behind(tx, world, observer, session=session.id)
        await following
    assert [each.request for each in await world.interactions.recent(session.id)] == ["x"]


async def test_a_follow_of_the_world_waits_for_who_has_published_and_finds_what_it_wrote(
    database_url: str, world: World
) -> None:
    async with connected(database_url) as observer:
        async with elsewhere(world.transaction()) as tx:
            await tx.documents.increment("gold")
            following = await follow_behind(tx, world, observer)
        assert await following == 1
    assert await rows(database_url, KINDS, world.id) == []


async def test_a_follow_waits_for_an_event_of_the_application_and_finds_what_its_transaction_wrote(
    database_url: str, world: World, story: Story
) -> None:
    """The transaction holds no row of the story: only the lock of the stream keeps the follow out."""
    async with connected(database_url) as observer:
        async with elsewhere(world.transaction()) as tx:
            await tx.documents.increment("gold")
            await tx.live.publish("paid", story=story.id)
            following = await follow_behind_documents(tx, world, observer, story.id)
        assert await following == 1
    assert await rows(database_url, KINDS, story.id) == []


async def follow_behind_documents(
    tx: TransactionScope, world: World, observer: Connection, story_id: UUID
) -> asyncio.Task[int]:
    await tx._transaction.store_all()

    async def present() -> int:
        async with world.live.subscribe(story=story_id) as events:
            found = len((await world.documents.list()).items)
            assert await nothing_more(events)
            return found

    task = asyncio.create_task(present())
    await until_blocked(observer, by=await session_of(tx))
    return task


async def test_follows_that_begin_together_wait_for_the_application_of_their_own_story_only(
    database_url: str, world: World, story: Story
) -> None:
    other = await world.stories.create("Another")
    async with connected(database_url) as observer, AsyncExitStack() as stack:
        async with elsewhere(world.transaction()) as tx:
            await tx.live.publish("paid", story=story.id)
            await tx._transaction.store_all()
            held, free = (
                asyncio.create_task(stack.enter_async_context(world.live.subscribe(story=each.id)))
                for each in (story, other)
            )
            await until_blocked(observer, by=await session_of(tx))
            async with patiently():
                assert (await free).started_at == 0
            assert not held.done()
        async with patiently():
            assert (await held).started_at == 0


async def test_an_event_of_the_application_waits_for_a_follow_and_is_published(
    database_url: str, world: World, story: Story
) -> None:
    async with holding(database_url, FOLLOW_QUIETLY, [world.id, story.id], commit=True) as holder:
        publishing = asyncio.create_task(world.live.publish("typing", story=story.id))
        await holder.until_blocked()
    await publishing
    assert [row[0] for row in await rows(database_url, KINDS, story.id)] == ["typing"]


async def test_a_writer_waits_for_a_follow_of_the_story_and_tells(
    database_url: str, world: World, story: Story
) -> None:
    async with holding(database_url, FOLLOW_THE_STORY, [world.id, story.id], commit=True) as holder:
        writing = [
            asyncio.create_task(append(world, story.id, 1)),
            asyncio.create_task(world.branches.fork(story.id, "fork", at=0)),
        ]
        await holder.until_blocked(count=2)
    await asyncio.gather(*writing)
    assert {row[0] for row in await rows(database_url, KINDS, story.id)} == {"scene appended", "branch forked"}


async def test_a_turn_that_waits_for_a_follow_of_the_story_tells(database_url: str, world: World, story: Story) -> None:
    async with world.turns.take(story.id, request_key="1") as turn:
        async with holding(database_url, FOLLOW_THE_STORY, [world.id, story.id], commit=True) as holder:
            committing = asyncio.create_task(turn.commit(NewScene("x", (), ["Mara"])))
            await holder.until_blocked()
        await committing
    assert [row[0] for row in await rows(database_url, KINDS, story.id)] == ["scene appended"]


async def test_writers_of_the_world_wait_for_a_follow_of_the_world_and_tell(
    database_url: str, world: World, story: Story
) -> None:
    async with world.turns.take(story.id, request_key="1") as turn:
        async with holding(database_url, FOLLOW_THE_WORLD, [world.id], commit=True) as holder:
            writing = [
                asyncio.create_task(turn.commit(NewScene("x", (), ["Mara"]))),
                asyncio.create_task(world.documents.increment("gold")),
            ]
            await holder.until_blocked(count=2)
        await asyncio.gather(*writing)
    published = {row[0] for row in await rows(database_url, KINDS, world.id)}
    assert published == {"character created", "document changed"}


async def test_who_joins_a_follow_of_another_process_waits_for_no_writer(
    database_url: str, world: World, story: Story
) -> None:
    async with world.live.subscribe(story=story.id), LivingWorld.open(database_url=database_url) as elsewhere:
        there = await elsewhere.worlds.get(world.id)
        async with (
            holding(database_url, THE_STORY, [world.id, story.id]),
            patiently(),
            there.live.subscribe(story=story.id) as events,
        ):
            assert events.started_at == 0
        async with there.live.subscribe(story=story.id) as events:
            await append(world, story.id, 1)
            assert await numbers(events, 1) == [1]


async def test_writers_of_one_world_do_not_wait_for_each_other_without_a_follower(world: World) -> None:
    async with elsewhere(world.transaction()) as tx:
        await tx.documents.increment("gold")
        await tx._transaction.store_all()
        async with patiently():
            await world.documents.increment("silver")


async def test_the_order_in_which_transactions_write_two_stories_is_no_deadlock(world: World, story: Story) -> None:
    other = await world.stories.create("Another")
    first, second = sorted((story.id, other.id))

    async def write() -> None:
        for _ in range(10):
            async with world.transaction() as tx:
                await tx.stories.append_scene(first, NewScene("x"))
                await tx.stories.append_scene(second, NewScene("x"))
                await tx.documents.increment("gold")

    async with (
        world.live.subscribe(story=first) as one,
        world.live.subscribe(story=second) as two,
        world.live.subscribe() as three,
    ):
        await asyncio.gather(*(write() for _ in range(6)))
        for events in (one, two, three):
            assert await numbers(events, 60) == list(range(events.started_at + 1, events.started_at + 61))


async def test_writers_of_different_documents_are_numbered_one_after_the_other(world: World) -> None:
    async with world.live.subscribe() as events:
        await asyncio.gather(*(world.documents.increment(f"gold {number}") for number in range(40)))
        assert await numbers(events, 40) == list(range(1, 41))
        assert await nothing_more(events)

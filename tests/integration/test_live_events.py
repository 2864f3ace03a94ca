"""What followers get, when they get it, and when they do not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from livingworld import LiveEvent, LiveKind, NewScene, Session, Story, World
from livingworld.app.transaction_scope import TransactionScope
from livingworld.errors import InvalidInput, SessionNotFound, StoryNotFound
from livingworld.identifiers import new_id
from livingworld.live.log import publish_at_commit
from tests.support.live_checks import append, event, nothing_more, numbers, published, take
from tests.support.run_role import url_of_the_run
from tests.support.turn_checks import rows

COUNT = "SELECT count(*) FROM livingworld.live_events"


async def test_a_commit_tells_everything_in_order_and_one_that_is_rolled_back_nothing(
    world: World, story: Story
) -> None:
    async with world.live.subscribe(story=story.id) as events:
        with pytest.raises(ZeroDivisionError):
            async with world.transaction() as tx:
                await tx.stories.append_scene(story.id, NewScene("never"))
                await tx._transaction.store_all()  # numbered already
                raise ZeroDivisionError
        async with world.transaction() as tx:
            await tx.stories.append_scene(story.id, NewScene("one"))
            await tx.branches.fork(story.id, "fork", at=1)
            await tx.stories.append_scene(story.id, NewScene("two"))
            assert await nothing_more(events)
        received = await take(events, 3)
        await append(world, story.id, 1)
        assert await numbers(events, 1) == [4]

    assert [item.number for item in received] == [1, 2, 3]
    kinds = [item.kind for item in received if isinstance(item, LiveEvent)]
    assert kinds == [LiveKind.SCENE_APPENDED, LiveKind.BRANCH_FORKED, LiveKind.SCENE_APPENDED]


async def test_what_a_savepoint_undid_is_not_told(world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as events:
        async with world.transaction() as tx:
            await tx.stories.append_scene(story.id, NewScene("one"))
            with pytest.raises(ZeroDivisionError):
                async with tx._transaction.savepoint():
                    await tx.branches.fork(story.id, "fork", at=1)
                    raise ZeroDivisionError
        assert await published(events, 1) == [(LiveKind.SCENE_APPENDED, {"scene_number": 1, "branch_number": 1})]
        assert await nothing_more(events)


async def test_a_unit_that_is_repeated_is_told_once(world: World, story: Story) -> None:
    tries = 0

    async def work(tx: TransactionScope) -> None:
        nonlocal tries
        tries += 1
        await tx.stories.append_scene(story.id, NewScene("x"))
        if tries < 3:
            await tx._transaction.execute(text("DO $$ BEGIN RAISE serialization_failure; END $$"))

    async with world.live.subscribe(story=story.id) as events:
        await world.run(work)
        assert tries == 3
        assert await numbers(events, 1) == [1]
        assert await nothing_more(events)


async def test_what_joins_a_transaction_of_the_callers_is_told_when_he_commits(
    database_url: str, world: World, story: Story
) -> None:
    engine = create_async_engine(url_of_the_run(database_url))
    try:
        async with world.live.subscribe(story=story.id) as events:
            async with engine.connect() as connection:
                async with world.join(connection) as tx:
                    await tx.stories.append_scene(story.id, NewScene("x"))
                assert await nothing_more(events)
                await connection.commit()
            assert await numbers(events, 1) == [1]
    finally:
        await engine.dispose()


async def test_what_is_not_followed_is_not_stored(database_url: str, world: World, story: Story) -> None:
    await append(world, story.id, 3)
    async with world.turns.take(story.id, request_key="1") as turn:
        await turn.commit(NewScene("x", (), ["Mara"]))
    await world.documents.increment("gold")
    async with world.live.subscribe(story=(await world.stories.create("x")).id):
        await append(world, story.id, 1)

    assert await rows(database_url, COUNT) == [(0,)]


@pytest.mark.direct_connection("behind a pooler a single statement is a transaction, which may publish")
async def test_a_single_statement_that_would_publish_later_is_refused(world: World) -> None:
    async def work(tx: Any) -> None:  # noqa: ANN401 - a Transaction
        publish_at_commit(tx, world.id, LiveKind.STORY_CREATED)

    with pytest.raises(AssertionError, match="single statement"):
        await world._unit.write_single(work)


async def purge_story(world: World, story: Story, _: Session) -> None:
    await world.stories.purge(story.id)


async def expire_session(world: World, _: Story, session: Session) -> None:
    await world._unit.write(
        lambda tx: tx.execute(
            text("UPDATE livingworld.sessions SET heartbeat_at = '2000-01-01' WHERE session_id = :s"),
            {"s": session.id},
        )
    )
    await world.sessions.expire(timedelta(days=1))


@pytest.mark.parametrize(
    ("follow", "remove", "error"),
    [("story", purge_story, StoryNotFound), ("session", expire_session, SessionNotFound)],
)
async def test_the_iteration_ends_with_what_is_followed(
    world: World,
    story: Story,
    follow: str,
    remove: Callable[[World, Story, Session], Awaitable[None]],
    error: type[Exception],
) -> None:
    session = await world.sessions.open()
    key = story.id if follow == "story" else session.id
    async with world.live.subscribe(**{follow: key}) as events:  # type: ignore[arg-type]
        await append(world, story.id, 1)
        await world.interactions.add(session.id, "x")
        assert (await event(events)).number == 1
        await remove(world, story, session)
        with pytest.raises(error):
            await take(events, 1)
    with pytest.raises(error):
        async with world.live.subscribe(**{follow: key}):  # type: ignore[arg-type]
            pass


async def test_bad_input_is_refused_before_anything_is_followed(world: World, story: Story) -> None:
    live = world.live
    wrong: list[Callable[[], object]] = [
        lambda: live.subscribe(story=str(story.id)),  # type: ignore[arg-type]
        lambda: live.subscribe(story=story.id, session=story.id),
        lambda: live.subscribe(story=story.id, after=-1),
        lambda: live.subscribe(story=story.id, after=True),
        lambda: live.subscribe(story=story.id, after=2**63),
        lambda: live.subscribe(story=story.id, buffer=0),
    ]
    for each in wrong:
        with pytest.raises(InvalidInput):
            each()
    with pytest.raises(StoryNotFound):
        async with live.subscribe(story=new_id()):
            pass
    with pytest.raises(SessionNotFound):
        async with live.subscribe(session=new_id()):
            pass

"""What a transaction asks of a task's owner is notified after the commit, and not at all without one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import create_async_engine

from livingworld import LivingWorld, Session, Task, TransactionScope, World
from livingworld.coordination.sessions.task_writing import task_topic
from livingworld.postgres.notifications import TopicSubscription
from livingworld.testing.staged_races import holding
from tests.concurrency.session_staging import THE_SESSION
from tests.support.run_role import url_of_the_run
from tests.support.staging import GaveUp, race, same_world

NOW: Final = timedelta(0)


@pytest_asyncio.fixture
async def world(database_url: str, livingworld: LivingWorld) -> AsyncIterator[World]:
    """Give a world in a process that does not listen: it gets its own notifications only."""
    made = await livingworld.worlds.create("Saltmarsh")
    async with same_world(database_url, made.id, pools=1, behind_pooler=True) as (opened,):
        yield opened


@pytest_asyncio.fixture
async def session(world: World) -> Session:
    return await world.sessions.open()


@pytest_asyncio.fixture
async def task(world: World, session: Session) -> Task:
    return await world.tasks.create_unless_running(session.id, "narrate")


@pytest_asyncio.fixture
async def subscription(world: World, task: Task) -> AsyncIterator[TopicSubscription]:
    """Give a subscription to the task's topic; in this process it is notified at once."""
    with world._shared.services.notifications.subscribe(task_topic(task.id)) as subscription:
        yield subscription


async def test_a_cancel_and_a_clear_are_notified_at_the_commit(
    world: World, session: Session, task: Task, subscription: TopicSubscription
) -> None:
    async with world.transaction() as tx:
        await tx.tasks.cancel(task.id)
        assert not await subscription.wait(NOW)
    assert await subscription.wait(NOW)
    async with world.transaction() as tx:
        await tx.sessions.clear(session.id)
        assert not await subscription.wait(NOW)
    assert await subscription.wait(NOW)


async def test_what_is_rolled_back_is_not_notified(
    world: World, session: Session, task: Task, subscription: TopicSubscription
) -> None:
    async def cancel_and_give_up() -> None:
        async with world.transaction() as tx:
            await tx.tasks.cancel(task.id)
            await tx.sessions.clear(session.id)
            raise GaveUp

    with pytest.raises(GaveUp):
        await cancel_and_give_up()

    assert not await subscription.wait(NOW)
    assert (await world.tasks.get(task.id)).cancel_requested_at is None


async def test_what_a_savepoint_took_back_is_not_notified(
    world: World, task: Task, subscription: TopicSubscription
) -> None:
    async def cancel_and_give_up(tx: TransactionScope) -> None:
        async with tx._transaction.savepoint():
            await tx.tasks.cancel(task.id)
            raise GaveUp

    async with world.transaction() as tx:
        with pytest.raises(GaveUp):
            await cancel_and_give_up(tx)
    assert not await subscription.wait(NOW)


async def test_a_unit_that_ran_twice_notifies_at_the_end(
    database_url: str, world: World, session: Session, task: Task, subscription: TopicSubscription
) -> None:
    notified_before, attempts = [], 0

    async def cancel(tx: TransactionScope) -> None:
        nonlocal attempts
        attempts += 1
        await tx.tasks.cancel(task.id)
        notified_before.append(await subscription.wait(NOW))
        if attempts == 1:  # as another session might: PostgreSQL ends the unit, and it runs again
            async with holding(database_url, "SELECT pg_advisory_lock(1)"):
                await tx._transaction.execute_text("SET LOCAL lock_timeout = '1ms'", ())
                await tx._transaction.execute_text("SELECT pg_advisory_xact_lock(1)", ())

    await world.run(cancel)

    assert (attempts, notified_before) == (2, [False, False])
    assert await subscription.wait(NOW)


async def test_a_joined_transaction_notifies_at_the_end_of_its_block(
    database_url: str, world: World, task: Task, subscription: TopicSubscription
) -> None:
    engine = create_async_engine(url_of_the_run(database_url))
    async with engine.begin() as connection, world.join(connection) as tx:
        await tx.tasks.cancel(task.id)
        assert not await subscription.wait(NOW)
    await engine.dispose()

    assert await subscription.wait(NOW)


async def test_every_end_of_a_task_is_notified(
    database_url: str, world: World, session: Session, task: Task, subscription: TopicSubscription
) -> None:
    await world.tasks.progress(task, 1)
    assert not await subscription.wait(NOW)
    await race(database_url, THE_SESSION, [world.id, session.id], [world.tasks.finish(task)], blocked=1)
    assert await subscription.wait(NOW)

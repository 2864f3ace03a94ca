"""A unit runs again where PostgreSQL said that it may, within its budgets, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import TypeAlias

import pytest

from livingworld import LivingWorld, Settings, Story, TransactionScope, World
from livingworld.errors import (
    CallTimeout,
    DatabaseFailure,
    DeadlockDetected,
    DiskFull,
    InvalidInput,
    LivingWorldError,
    LockTimeout,
    SchemaNotReady,
    SerializationFailure,
    StatementTimeout,
    TransactionPoisoned,
)
from livingworld.testing.staged_races import connected, holding, until_blocked
from tests.support.staging import THE_STORY

OpenWorld: TypeAlias = Callable[..., AbstractAsyncContextManager[World]]
#: A sequence counts the tries, because it is not rolled back with them.
TRIGGER = """
    CREATE SEQUENCE tries;
    GRANT USAGE ON SEQUENCE tries TO PUBLIC;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('public.tries') <= {times} THEN RAISE EXCEPTION 'refused' USING ERRCODE = '{sqlstate}'; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON livingworld.stories FOR EACH ROW EXECUTE FUNCTION refuse();
"""
RETRIED = {"40001": SerializationFailure, "40P01": DeadlockDetected}
NEVER_RETRIED = {
    "23505": DatabaseFailure,
    "23514": DatabaseFailure,
    "22003": DatabaseFailure,
    "42804": DatabaseFailure,
    "42P01": SchemaNotReady,
    "53100": DiskFull,
    "57014": StatementTimeout,
    "25P02": TransactionPoisoned,
}


@pytest.fixture
def open_world(database_url: str, world: World) -> OpenWorld:
    @asynccontextmanager
    async def opened(**settings: object) -> AsyncIterator[World]:
        async with LivingWorld.open(Settings.load(database_url=database_url, **settings)) as livingworld:
            yield await livingworld.worlds.get(world.id)

    return opened


async def refuse_updates(url: str, sqlstate: str, *, times: int = 1_000_000) -> None:
    async with connected(url) as connection:
        await connection.execute(TRIGGER.format(sqlstate=sqlstate, times=times))


async def tries(url: str) -> int:
    async with connected(url) as connection:
        found: int = await connection.fetchval("SELECT last_value FROM tries")
    return found


@pytest.mark.parametrize("sqlstate", [*RETRIED, "55P03"])
async def test_a_unit_that_postgresql_rolled_back_runs_again_as_a_whole(
    database_url: str, world: World, story: Story, sqlstate: str
) -> None:
    await refuse_updates(database_url, sqlstate, times=3)
    runs: list[Story] = []

    async def work(tx: TransactionScope) -> str:
        runs.append(await tx.stories.create(f"Run {len(runs)}"))
        return (await tx.stories.update(story.id, expected_version=1, title="Changed")).title

    assert await world.run(work) == "Changed"

    assert len(runs) == 4
    assert {each.title for each in (await world.stories.list()).items} == {"Changed", "Run 3"}


async def test_a_single_call_is_such_a_unit(database_url: str, world: World, story: Story) -> None:
    await refuse_updates(database_url, "40001", times=2)

    assert (await world.stories.update(story.id, expected_version=1, title="Changed")).version == 2
    assert await tries(database_url) == 3


async def test_a_transaction_block_is_never_run_twice(database_url: str, world: World, story: Story) -> None:
    await refuse_updates(database_url, "40001")

    with pytest.raises(SerializationFailure):
        async with world.transaction() as tx:
            await tx.stories.update(story.id, expected_version=1, title="Changed")

    assert await tries(database_url) == 1


@pytest.mark.parametrize("sqlstate", NEVER_RETRIED)
async def test_what_would_fail_again_is_raised_at_once_by_name(
    database_url: str, world: World, story: Story, sqlstate: str
) -> None:
    await refuse_updates(database_url, sqlstate)

    with pytest.raises(NEVER_RETRIED[sqlstate]) as raised:
        await world.stories.update(story.id, expected_version=1, title="Changed")

    assert await tries(database_url) == 1
    assert type(raised.value) is NEVER_RETRIED[sqlstate]
    assert getattr(raised.value, "sqlstate", sqlstate) == sqlstate
    assert (await world.stories.get(story.id)).version == 1


@pytest.mark.parametrize("error", [InvalidInput("title", "is mine"), ValueError("is mine"), KeyError("mine")])
async def test_an_error_of_the_work_itself_is_never_retried(world: World, error: Exception) -> None:
    runs = []

    async def work(tx: TransactionScope) -> None:
        runs.append(await tx.stories.create("Never stored"))
        raise error

    with pytest.raises(type(error)) as raised:
        await world.run(work)

    assert raised.value is error
    assert len(runs) == 1
    assert (await world.stories.list()).items == ()


@pytest.mark.parametrize("sqlstate", RETRIED)
async def test_a_spent_budget_raises_the_error_that_was_retried(
    database_url: str, open_world: OpenWorld, story: Story, sqlstate: str
) -> None:
    await refuse_updates(database_url, sqlstate)
    async with open_world(conflict_retries=2) as world:
        with pytest.raises(RETRIED[sqlstate]) as raised:
            await world.stories.update(story.id, expected_version=1, title="Changed")

    assert type(raised.value) is RETRIED[sqlstate]
    assert await tries(database_url) == 3


async def test_no_try_is_begun_after_the_time_limit(database_url: str, open_world: OpenWorld, story: Story) -> None:
    await refuse_updates(database_url, "40001")
    limit = timedelta(seconds=2)
    async with open_world(conflict_retries=1000, call_timeout=limit) as world:
        with pytest.raises((SerializationFailure, CallTimeout)):
            await world.stories.update(story.id, expected_version=1, title="Changed")

    assert 1 < await tries(database_url) < 1000


async def test_a_lock_that_is_never_given_up_is_a_lock_timeout(
    database_url: str, open_world: OpenWorld, story: Story
) -> None:
    async with (
        holding(database_url, "SELECT FROM livingworld.stories FOR UPDATE"),
        open_world(conflict_retries=1, lock_timeout=timedelta(milliseconds=30)) as world,
    ):
        with pytest.raises(LockTimeout) as raised:
            await world.stories.update(story.id, expected_version=1, title="Changed")

    assert isinstance(raised.value, LivingWorldError)
    assert "55P03" in str(raised.value.__cause__)


async def test_the_victim_of_a_deadlock_runs_again(
    database_url: str, world: World, story: Story, open_world: OpenWorld, caplog: pytest.LogCaptureFixture
) -> None:
    later = await world.stories.create("Later")
    runs: list[TransactionScope] = []

    async def work(tx: TransactionScope) -> None:
        runs.append(tx)
        await tx.stories.update(story.id, expected_version=1, title="Changed")
        await tx.stories.update(later.id, expected_version=1, title="Changed too")

    async with open_world(prompt_lock_timeout=timedelta(seconds=5)) as waiting_world:
        async with holding(database_url, THE_STORY, [world.id, later.id]) as holder:
            await holder.connection.execute("SET LOCAL deadlock_timeout = '60s'")  # so the other one is the victim
            unit = asyncio.create_task(waiting_world.run(work))
            (waiting,) = await until_blocked(holder.observer, by=holder.pid)
            await holder.connection.execute(THE_STORY, world.id, story.id)
        await unit

    assert waiting != holder.pid
    assert len(runs) == 2
    # Not the server's count of deadlocks: Citus has a look of its own, which may find this one first.
    assert caplog.text.count("unit retried error=DeadlockDetected") == 1
    assert [(each.title, each.version) for each in (await world.stories.list()).items] == [
        ("Changed too", 2),
        ("Changed", 2),
    ]

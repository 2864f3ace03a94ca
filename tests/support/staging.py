"""What the staged races share: the rows they are staged behind, and the start of all contenders at one moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import text

from livingworld import LivingWorld, Settings, TransactionScope, World
from livingworld.postgres.transactions.admission import outside
from livingworld.testing.staged_races import connected, holding, until_blocked
from tests.support.patience import patiently

T = TypeVar("T")

THE_STORY: Final = "SELECT FROM livingworld.stories WHERE world_id = $1 AND story_id = $2 FOR UPDATE"


class GaveUp(Exception):  # noqa: N818 - named for what happened, as in livingworld.errors
    """Raised by a contender that leaves its transaction without wanting what it wrote."""


async def race(
    url: str,
    statement: str,
    key: Sequence[object],
    contenders: Iterable[Coroutine[Any, Any, T]],
    *,
    blocked: int,
    commit: bool = False,
) -> list[T | BaseException]:
    """Start all contenders behind a row that is held until `blocked` sessions wait for it; return what became of them.

    What the statement did to the row is rolled back unless `commit`.
    """
    tasks: list[asyncio.Task[T]] = []
    try:
        async with holding(url, statement, key, commit=commit) as holder:
            tasks = [asyncio.create_task(contender) for contender in contenders]
            await holder.until_blocked(count=blocked)
        async with patiently():
            return await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await stop(tasks)


async def stop(tasks: Iterable[asyncio.Task[T]]) -> None:
    """Cancel what is still running, and wait until it is over: nothing outlives its test."""
    running = list(tasks)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@asynccontextmanager
async def same_world(url: str, world_id: UUID, *, pools: int, **settings: object) -> AsyncIterator[list[World]]:
    """Open a world several times, as several processes would: each with a pool and a group commit of its own."""
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(LivingWorld.open(Settings.load(database_url=url, **settings)))
            for _ in range(pools)
        ]
        yield [await livingworld.worlds.get(world_id) for livingworld in opened]


@asynccontextmanager
async def elsewhere(block: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Hold a block as another caller does, in a task of its own: whoever is inside here is outside of it."""
    entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def hold() -> None:
        async with block as given:
            entered.set_result(given)
            await over.wait()

    holder = asyncio.create_task(hold(), context=outside())
    beginnings: list[asyncio.Future[Any]] = [holder, entered]
    try:
        await asyncio.wait(beginnings, return_when=asyncio.FIRST_COMPLETED)
        if holder.done():
            await holder
        yield entered.result()
    except BaseException:
        await stop([holder])
        raise
    over.set()
    await holder


def kinds(results: Iterable[object]) -> list[str]:
    """Return the class names of results, sorted: who won and what the others were told."""
    return sorted(type(result).__name__ for result in results)


async def backend_of(tx: TransactionScope) -> int:
    """Return the PostgreSQL process that a transaction runs in."""
    pid: int = await tx._transaction.scalar(text("SELECT pg_backend_pid()"))
    return pid


async def done_or_behind(task: asyncio.Task[Any], url: str, pid: int) -> None:
    """Wait until a task is done, or a session waits for the one of this process."""
    async with connected(url) as observer:
        waiting = asyncio.create_task(until_blocked(observer, by=pid))
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        await stop([waiting])


async def deadlocks(url: str) -> int:
    """Return how many deadlocks PostgreSQL has broken in this database.

    A session reports at the end of a transaction, once a second at most; finding a deadlock alone takes it a second.
    """
    async with connected(url) as connection:
        found: int = await connection.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
    return found

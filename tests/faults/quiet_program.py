"""A program that cancels, closes and loses connections in one way, over and over; what it prints is what users see."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from sqlalchemy import text

from livingworld import LivingWorld, Settings
from livingworld.errors import LivingWorldError
from livingworld.postgres.transactions.transaction import Transaction

#: More steps of the event loop than connecting, or a statement, takes.
_STEPS: Final = 40


def settings(url: str, **overrides: object) -> Settings:
    return Settings.load(database_url=url, outage_retries=0, **overrides)


async def cancelled_after(steps: int, work: Awaitable[object]) -> None:
    """Begin something and cancel it after so many steps of the event loop."""
    task = asyncio.ensure_future(work)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def sleep(tx: Transaction) -> None:
    await tx.execute(text("SELECT pg_sleep(5)"))


async def cancel_while_connecting(url: str) -> None:
    for steps in range(_STEPS):
        async with LivingWorld.open(settings(url)) as livingworld:
            await cancelled_after(steps, livingworld.worlds.list())


async def close_while_connecting(url: str) -> None:
    for steps in range(_STEPS):
        calls: list[asyncio.Task[object]] = []
        async with LivingWorld.open(settings(url)) as livingworld:
            calls = [asyncio.create_task(livingworld.worlds.list()) for _ in range(4)]
            for _ in range(steps):
                await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def cancel_statements(url: str) -> None:
    async with LivingWorld.open(settings(url)) as livingworld:
        database = livingworld.worlds._database
        for steps in range(_STEPS):
            await asyncio.gather(*(cancelled_after(steps, database.run(sleep)) for _ in range(4)))


async def lose_the_server(url: str) -> None:
    """Cancel while every session is ended: what a cancelled statement begins is cut short."""
    async with LivingWorld.open(settings(url, pool_size=4)) as livingworld:
        database = livingworld.worlds._database

        async def end_all(tx: Transaction) -> None:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'livingworld'"
            await tx.execute(text(f"{ended} AND datname = current_database()"))

        for steps in range(_STEPS):
            calls = [asyncio.create_task(cancelled_after(30 + steps, database.run(sleep))) for _ in range(3)]
            await asyncio.sleep(0.01)
            with suppress(LivingWorldError):
                await database.run(end_all)
            await asyncio.gather(*calls)


async def connect_too_slowly(url: str) -> None:
    for _ in range(_STEPS):
        limit = timedelta(milliseconds=1)
        async with LivingWorld.open(settings(url, connect_timeout=limit)) as livingworld:
            with suppress(LivingWorldError):
                await livingworld.worlds.list()


async def end_at_once(url: str) -> None:
    """Leave everything to `asyncio.run`, which cancels what is under way."""
    for steps in range(_STEPS):
        async with LivingWorld.open(settings(url)) as livingworld:
            task = asyncio.create_task(livingworld.worlds.list())
            for _ in range(steps):
                await asyncio.sleep(0)
            connecting = asyncio.all_tasks() - {asyncio.current_task()}
            for each in connecting:
                each.cancel()
            await asyncio.gather(task, return_exceptions=True)


WAYS: Final[dict[str, Callable[[str], Awaitable[None]]]] = {
    way.__name__: way
    for way in (
        cancel_while_connecting,
        close_while_connecting,
        cancel_statements,
        lose_the_server,
        connect_too_slowly,
        end_at_once,
    )
}


async def main(way: str, url: str) -> None:
    await WAYS[way](url)
    gc.collect()
    await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
    gc.collect()

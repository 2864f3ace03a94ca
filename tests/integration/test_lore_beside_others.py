"""A text is compared with the keys of many entries while the event loop goes on."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

from livingworld import World
from livingworld.testing.staged_races import connected

ENTRIES = 50_000
FILL = """
    INSERT INTO livingworld.lore_entries
        (world_id, lore_id, book, position, title, content, keys, case_sensitive, enabled)
    SELECT $1, gen_random_uuid(), 'lore', n, '', 'entry ' || n,
           ARRAY['Lámpara ' || n, 'the Order of ' || n, 'lamp ' || n], false, true
    FROM generate_series(1, $2::integer) n
"""
#: Of the event loop's thread, in seconds: what one step of it may take. The time of its processor, not of the wall, so
#: that other programs do not count.
MOST = 0.02


@contextmanager
def what_is_there_left_alone() -> Iterator[None]:
    """Keep the garbage collector from looking through what the test program itself holds."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.collect()
        gc.freeze()  # the modules again, as tests/conftest.py does


async def longest_step() -> float:
    """Beat until cancelled, and return the longest time that the loop's thread worked between two beats."""
    longest, before = 0.0, time.thread_time()
    try:
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, before = max(longest, now - before), now
    except asyncio.CancelledError:
        return longest


async def test_no_step_of_the_loop_is_long_while_50000_entries_are_compared(database_url: str, world: World) -> None:
    async with connected(database_url) as connection:
        await connection.execute(FILL, world.id, ENTRIES)
    await world.lore.match("warm up")
    with what_is_there_left_alone():
        steps = asyncio.create_task(longest_step())
        await asyncio.sleep(0)
        found = await world.lore.match(
            "Lamp 777 and lamp 40001, LA\u0301MPARA 12; the order of 77 lamps. " * 50, limit=5
        )
        steps.cancel()

    assert [each.key for each in found] == ["the Order of 77", "Lámpara 12", "lamp 40001", "lamp 777"]
    assert await steps < MOST


async def test_no_step_of_the_loop_is_long_while_the_keys_of_50000_entries_are_read(
    database_url: str, world: World
) -> None:
    async with connected(database_url) as connection:
        await connection.execute(FILL, world.id, ENTRIES)
    gc.disable()  # a collection looks at all that the process holds, and may fall into any step
    try:
        steps = asyncio.create_task(longest_step())
        await asyncio.sleep(0)
        found = await world.lore.match("Lamp 777.")
        steps.cancel()
    finally:
        gc.enable()

    assert [each.key for each in found] == ["lamp 777"]
    assert await steps < MOST

"""Every call of actions that sends a statement."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

from livingworld import ConflictPolicy, NewAction, RunningAction, TransactionScope, World
from livingworld.errors import QueueFull

AT_ONCE = timedelta(0)


async def use_actions(world: World) -> None:
    """Call every method of actions, and let claims and deadlines end."""
    await world.actions.limit_lane("a", 3)
    await world.actions.enqueue_many([NewAction(lane, "walk", max_attempts=1) for lane in "aabb"])
    (first, second) = await world.actions.claim(2)
    await world.actions.get(first.id)
    await world.actions.extend(first)
    await world.actions.complete(first, {"well": True})
    await world.actions.fail(second, "no")
    for end in (world.actions.release, world.actions.stop):
        (claimed,) = await world.actions.claim(1)
        await end(claimed)
    await use_conflicts(world)
    await use_ends(world)
    await world.actions.size("a")
    await world.actions.peek("a")
    await world.actions.commands("a", after="1")
    await world.actions.forget("a", ended_for=AT_ONCE)


async def use_conflicts(world: World) -> None:
    """Give commands under each decision, until a lane is full."""
    for decision in ("replace", "merge", "reject"):
        await world.actions.enqueue("a", "walk", conflict=decision)
    with contextlib.suppress(QueueFull):
        for _ in range(4):
            await world.actions.enqueue("a", "walk", conflict=ConflictPolicy())


async def use_ends(world: World) -> None:
    """Let claims end and deadlines pass, cancel, and work."""
    await world.actions.enqueue("late", "walk", deadline=AT_ONCE)
    await world.actions.enqueue("dated", "walk", not_before=timedelta(milliseconds=1))
    await world.actions.enqueue("lost", "walk", priority=9)
    (lost,) = await world.actions.claim(1, ttl=timedelta(milliseconds=100))
    await world.actions.expire(lost)
    await asyncio.sleep(0.15)
    for action in await world.actions.claim(10):
        await world.actions.release(action)
    given = await world.actions.enqueue("c", "walk", priority=10)

    async def walk(running: RunningAction) -> None:
        async def effect(tx: TransactionScope) -> None:
            await tx.actions.enqueue("d", "walk")

        await running.complete(effect)

    await world.actions.worker({"walk": walk}, concurrency=1).run_once()
    assert (await world.actions.get(given.id)).state == "done"
    await world.actions.cancel((await world.actions.enqueue("e", "walk")).id)

"""Every call that sends a statement of sessions, tasks, locks, leases and cycles."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from uuid import UUID

from livingworld import Cycle, World
from livingworld.errors import AlreadyRunning


async def use_sessions(world: World) -> None:
    """Call every method of sessions, interactions and tasks."""
    session = await world.sessions.open(player="tom")
    await world.sessions.heartbeat(session.id)
    await world.sessions.set_context(session.id, {"a": 1}, expected_version=1)
    await world.sessions.merge_context(session.id, {"b": 2})
    await world.interactions.add(session.id, "one")
    await world.interactions.update(session.id, 1, response="yes", expected_version=1)
    await world.interactions.recent(session.id)
    await world.interactions.clear(session.id)
    await use_tasks(world, session.id)
    await world.sessions.clear(session.id)
    await world.sessions.close((await world.sessions.get(session.id)).id)
    await world.sessions.open()
    assert len(await world.sessions.expire(timedelta(0))) == 2


async def use_tasks(world: World, session_id: UUID) -> None:
    """Call every method of tasks, and let owners die."""
    at_once = timedelta(microseconds=1)
    task = await world.tasks.create_unless_running(session_id, "a", dead_after=at_once)
    assert await world.tasks.fail_dead() != ()
    task = await world.tasks.create_unless_running(session_id, "a", dead_after=at_once)
    task = await world.tasks.create_unless_running(session_id, "a", dead_after=at_once, when_owner_dies="take_over")
    with contextlib.suppress(AlreadyRunning):
        await world.tasks.create_unless_running(session_id, "a")
    assert await world.tasks.take_over(task.id)
    taken = await world.tasks.take_over_dead(kind="a")
    assert taken
    await world.tasks.cancel(taken.id)
    await world.tasks.wait_cancelled(taken)
    await world.tasks.stop(taken)
    await world.tasks.stop(taken)
    async with world.tasks.running(session_id, "b") as run:
        await run.progress(1)
        await world.tasks.heartbeat(run.task)
        await world.tasks.hand_on(run.task)
    failed = await world.tasks.create_unless_running(session_id, "c")
    await world.tasks.fail(failed, "x")
    await world.tasks.of_session(session_id)


async def use_locks_and_leases(world: World) -> None:
    """Call every method of locks and leases."""
    async with world.leases.hold("tide", ttl=timedelta(milliseconds=100)) as lease, world.transaction() as tx:
        await tx.locks.shared("a")
        await tx.locks.exclusive("a")
        await tx.locks.try_exclusive("b")
        await tx.prove(lease)
    async with world.leases.hold("tide"), world.locks.shared("a") as tx:
        await tx.locks.shared("a")
    async with world.locks.try_exclusive("b"):
        pass
    async with world.locks.exclusive("a"):
        pass


async def use_cycles(world: World) -> None:
    """Call every method of cycles."""

    async def phase(cycle: Cycle) -> int:
        async with world.transaction() as tx:
            await tx.prove(cycle)
        await world.cycles.request_stop("tide")
        return cycle.token

    await world.cycles.run("tide", {"plan": phase, "do": phase}, ttl=timedelta(milliseconds=100))
    await world.cycles.run("tide", {"plan": phase}, min_interval=timedelta(days=1))
    await world.cycles.history("tide", after="9")

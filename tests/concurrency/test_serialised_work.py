"""Work of one session comes one after the other, in every way the library has, and no way keeps a trace of it.

A works, B and D wait, D is cancelled, A ends, B works, and C arrives. Whoever tidies up a lock that others still wait
for lets C in beside B.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias

import pytest

from livingworld import NewScene, World
from livingworld.errors import AlreadyRunning, LeaseHeld
from livingworld.testing import staged_races
from tests.support.patience import patiently
from tests.support.staging import same_world, stop
from tests.support.turn_checks import rows

#: What PostgreSQL keeps of who works or waits.
LEFT: Final = """
    SELECT 'waits for a turn' FROM livingworld.turn_waiters
    UNION ALL SELECT 'has a turn' FROM livingworld.turns WHERE state = 'running'
    UNION ALL SELECT 'holds a lease' FROM livingworld.leases WHERE owner IS NOT NULL
    UNION ALL SELECT 'runs a task' FROM livingworld.tasks WHERE state = 'running'
    UNION ALL SELECT 'has a lock' FROM pg_locks WHERE locktype = 'advisory' AND objsubid <= 2
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Session:
    """One session's work: who is in, who was seen to wait, and how many were in at once."""

    def __init__(self, url: str, subject: object) -> None:
        self.url = url
        self.subject = subject
        self.entered: dict[str, asyncio.Event] = {name: asyncio.Event() for name in "ABCD"}
        self.leaving: dict[str, asyncio.Event] = {name: asyncio.Event() for name in "ABCD"}
        self.refused: dict[str, int] = {}
        self.inside = 0
        self.most_inside = 0

    async def work(self, name: str) -> None:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.entered[name].set()
        await self.leaving[name].wait()
        self.inside -= 1

    def refuse(self, name: str) -> None:
        self.refused[name] = self.refused.get(name, 0) + 1


Way: TypeAlias = Callable[[Session, World, str], AbstractAsyncContextManager[None]]
#: Returns how many wait, as PostgreSQL or the caller who asks again knows it.
Waiting: TypeAlias = Callable[[Session], Awaitable[int]]


@asynccontextmanager
async def by_turns(session: Session, world: World, name: str) -> AsyncIterator[None]:
    async with world.turns.take(session.subject.id, request_key=name, busy="queue") as turn:  # type: ignore[attr-defined]
        yield
        await turn.commit(NewScene(name))


@asynccontextmanager
async def by_a_lock(session: Session, world: World, _: str) -> AsyncIterator[None]:
    async with world.transaction() as tx:
        await tx.locks.exclusive(f"session:{session.subject}")
        yield


@asynccontextmanager
async def by_a_lease(session: Session, world: World, name: str) -> AsyncIterator[None]:
    while True:
        try:
            async with world.leases.hold(f"session:{session.subject}"):
                yield
                return
        except LeaseHeld:
            session.refuse(name)


@asynccontextmanager
async def by_a_task(session: Session, world: World, name: str) -> AsyncIterator[None]:
    while True:
        try:
            async with world.tasks.running(session.subject.id, "narrate"):  # type: ignore[attr-defined]
                yield
                return
        except AlreadyRunning:
            session.refuse(name)


async def in_the_queue(session: Session) -> int:
    return len(await rows(session.url, "SELECT FROM livingworld.turn_waiters WHERE expires_at > clock_timestamp()"))


async def for_the_lock(session: Session) -> int:
    # Not pg_locks: on a cluster the lock is on the node of the world.
    return len(await rows(session.url, f"SELECT 1 FROM ({staged_races.SESSIONS}) s WHERE blockers <> '{{}}'"))  # noqa: S608


async def refused_twice(session: Session) -> int:
    """Return how many asked in vain since last somebody looked: each is refused once after the others came."""
    await asyncio.sleep(0)
    return sum(times > 1 for times in session.refused.values())


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    async with patiently():
        while not await what():
            pass


class Players:
    """A to D, who come to work in a session by one way; B and C from a process of their own when there are two."""

    def __init__(self, session: Session, way: Way, waiting: Waiting, worlds: list[World]) -> None:
        self.session = session
        self.way = way
        self.waiting = waiting
        self.worlds = worlds
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def go(self, name: str) -> None:
        async with self.way(self.session, self.worlds[name in "BC" and len(self.worlds) - 1], name):
            await self.session.work(name)

    async def come(self, name: str, *, waiting: int) -> None:
        """Let one come, until so many wait, or it is in beside another one."""
        self.tasks[name] = asyncio.create_task(self.go(name))
        self.session.refused.clear()
        await until(lambda: self.at_least(waiting))

    async def at_least(self, waiting: int) -> bool:
        return self.session.inside > 1 or await self.waiting(self.session) >= waiting

    async def play(self) -> None:
        try:
            await self.come("A", waiting=0)
            await self.session.entered["A"].wait()
            await self.come("B", waiting=1)
            await self.come("D", waiting=2)
            self.tasks["D"].cancel()
            await asyncio.gather(self.tasks["D"], return_exceptions=True)
            self.session.leaving["A"].set()
            async with patiently():
                await self.session.entered["B"].wait()
            await self.come("C", waiting=1)
            for name in "BC":
                self.session.leaving[name].set()
            async with patiently():
                await asyncio.gather(*(self.tasks[name] for name in "ABC"))
        finally:
            await stop(self.tasks.values())


def kept_by(world: World) -> dict[str, Any]:
    """Return what this process keeps of work in a world, by name; empty when it is over."""
    services = world._shared.services
    kept: dict[str, Any] = {
        "hearings": services.notifications._subscriptions,
        "untold": services.notifications._unsent,
        "finishing": services.tasks._finishing,
        "watching": services.tasks._watching,
        "turns under way": world.turns._queue._under_way,
    }
    for number, group in enumerate(world._shared._group_commits):
        kept |= {f"group {number} statements": group._pacing._prompt, f"group {number} tasks": group._tasks}
        kept |= {f"group {number} {each}": getattr(group._queues, each) for each in ("waiting", "busy")}
    return {name: each for name, each in kept.items() if each}


WAYS: Final = [
    pytest.param(by_turns, in_the_queue, id="turns of a branch"),
    pytest.param(by_a_lock, for_the_lock, id="a lock of the transaction"),
    pytest.param(by_a_lease, refused_twice, id="a lease and a retry loop"),
    pytest.param(by_a_task, refused_twice, id="a task and a retry loop"),
]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("way", "waiting"), WAYS)
async def test_work_of_a_session_is_done_one_after_the_other_and_leaves_nothing(
    database_url: str, world: World, way: Way, waiting: Waiting, processes: int
) -> None:
    subject = await (world.stories.create("The Causeway") if way is by_turns else world.sessions.open())
    session = Session(database_url, subject)
    async with same_world(database_url, world.id, pools=processes) as worlds:
        await Players(session, way, waiting, worlds).play()

        async def is_over() -> bool:
            await asyncio.sleep(0)
            return not any(kept_by(each) for each in worlds)

        await until(is_over)

    assert session.most_inside == 1
    assert [name for name, entered in session.entered.items() if entered.is_set()] == ["A", "B", "C"]
    assert await rows(database_url, LEFT) == []


async def test_a_map_of_locks_that_the_last_holder_tidies_lets_two_in(database_url: str, world: World) -> None:
    locks: dict[object, asyncio.Lock] = {}
    outside: set[str] = set()

    @asynccontextmanager
    async def by_a_map(session: Session, _: World, name: str) -> AsyncIterator[None]:
        lock = locks.setdefault(session.subject, asyncio.Lock())
        outside.add(name)
        try:
            await lock.acquire()
        finally:
            outside.discard(name)
        yield
        lock.release()
        locks.pop(session.subject, None)

    async def outside_the_map(_: Session) -> int:
        await asyncio.sleep(0)
        return len(outside)

    session = Session(database_url, world.id)
    await Players(session, by_a_map, outside_the_map, [world]).play()

    assert session.most_inside == 2

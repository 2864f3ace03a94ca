"""A call from another event loop, or inside an open transaction, is refused by name: every call, at its entry."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from livingworld import LivingWorld, RunningAction, Settings, TransactionScope, World
from livingworld.errors import AlreadyInTransaction, WrongEventLoop
from livingworld.testing.hashing_embedder import HashingEmbedder
from tests.support.every_call import CALLS, do_nothing
from tests.support.every_write import Furnished, furnish
from tests.support.patience import patiently
from tests.support.run_role import url_of_the_run

#: As they are called here, these ask nothing of the database and begin nothing.
WITHOUT_A_DATABASE: Final = {
    "embeddings",
    "memory_embeddings",
    "text_embeddings",
    "scripts.check",
    "scripts.register",
    "actions.worker",
    "lore.add_many",
    "scripts.publish_all",
}
MORE_CALLS: Final[dict[str, Callable[[Furnished], Any]]] = {
    "embeddings.embed": lambda at: at.world.embeddings(HashingEmbedder()).embed(["rain"]),
    "embeddings.embed_each": lambda at: at.world.embeddings(HashingEmbedder()).embed_each(["rain"]),
    "actions.worker.running": lambda at: at.world.actions.worker({"walk": do_nothing}).running(),
    "actions.worker.run_once": lambda at: at.world.actions.worker({"walk": do_nothing}).run_once(),
    "transaction": lambda at: at.world.transaction(),
}
EVERY_CALL: Final = {name: call for name, call in {**CALLS, **MORE_CALLS}.items() if name not in WITHOUT_A_DATABASE}


class Done:
    """An awaitable that need not be awaited."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


@pytest_asyncio.fixture
async def there(database_url: str) -> AsyncIterator[Furnished]:
    """Give a furnished world with a pool that two callers exhaust."""
    async with LivingWorld.open(Settings.load(database_url=database_url, pool_size=2)) as livingworld:
        yield await furnish(livingworld)


async def make(call: Callable[[Furnished], Any], there: Furnished) -> None:
    """Make a call, and enter and leave what it gives, or take the first of it."""
    async with patiently():
        given = call(there)
        if hasattr(given, "__aenter__"):
            async with given:
                pass
        elif inspect.isawaitable(given):
            await given
        else:
            await anext(given)


async def in_another_loop(there: Furnished, *calls: Callable[[Furnished], Any]) -> list[BaseException | None]:
    """Make calls in the event loop of another thread and return what each raised."""
    raised: list[BaseException | None] = []

    async def make_all() -> None:
        for call in calls:
            raised.extend(await asyncio.gather(make(call, there), return_exceptions=True))

    thread = threading.Thread(target=lambda: asyncio.run(make_all()))
    thread.start()
    await asyncio.to_thread(thread.join)
    return raised


async def test_every_call_from_another_event_loop_is_refused_by_name(there: Furnished) -> None:
    raised = await in_another_loop(there, *EVERY_CALL.values())

    kinds = {name: type(error) for name, error in zip(EVERY_CALL, raised, strict=True)}
    assert {name: kind for name, kind in kinds.items() if kind is not WrongEventLoop} == {}
    assert (await there.world.stories.get(there.story.id)).title == "The end"


async def test_what_was_opened_is_refused_in_another_event_loop_too(there: Furnished, database_url: str) -> None:
    world, engine = there.world, create_async_engine(url_of_the_run(database_url))
    async with (
        world.turns.take(there.story.id, request_key="k") as turn,
        world.live.subscribe(story=there.story.id) as events,
        world.live.subscribe(story=there.story.id, after=0) as stored,
        world.tasks.running(there.session.id, "draw") as task,
        world.ai_models.serving({"narrator": do_nothing}, probe=do_nothing) as host,
        world.ai_models.collecting(),
        engine.connect() as connection,
    ):
        opened: dict[str, Callable[[Furnished], Any]] = {
            "turn.record": lambda _: turn.record("raw"),
            "turn.while_held": lambda _: turn.while_held(Done()),
            "live": lambda _: anext(events),
            "live, stored": lambda _: anext(stored),
            "task.progress": lambda _: task.progress(1),
            "task.while_running": lambda _: task.while_running(Done()),
            "pin": lambda _: host.pin("narrator"),
            "join": lambda _: world.join(connection),
            "close": lambda at: at.livingworld.worlds._process.close(),
        }
        raised = await in_another_loop(there, *opened.values())

        kinds = {name: type(error) for name, error in zip(opened, raised, strict=True)}
        assert {name: kind for name, kind in kinds.items() if kind is not WrongEventLoop} == {}
    await engine.dispose()


async def test_a_transaction_is_refused_in_another_event_loop(there: Furnished) -> None:
    async with there.world.transaction() as tx:
        (raised,) = await in_another_loop(there, lambda _: tx.stories.get(there.story.id))

        assert type(raised) is WrongEventLoop
        assert (await tx.stories.get(there.story.id)).title == "The end"


async def test_every_call_inside_a_transaction_is_refused_by_name(there: Furnished) -> None:
    kinds: dict[str, type[object]] = {}
    async with there.world.transaction() as tx:
        for name, call in EVERY_CALL.items():
            (raised,) = await asyncio.gather(make(call, there), return_exceptions=True)
            kinds[name] = type(raised)
        await tx.documents.increment("waves")

    assert {name: kind for name, kind in kinds.items() if kind is not AlreadyInTransaction} == {}
    assert (await there.world.documents.read("waves")).value == 1


async def test_a_direct_call_a_child_task_and_a_nested_transaction_are_refused_before_they_wait(
    there: Furnished,
) -> None:
    """Today twelve such blocks would wait for each other's connections until the pool's time limit."""
    world, other = there.world, await there.livingworld.worlds.create("Elsewhere")

    async def block(way: int) -> None:
        async with world.transaction() as tx:
            await tx.documents.increment("waves")
            with pytest.raises(AlreadyInTransaction, match=r"`tx\.x`"):
                ways: list[Callable[[], Awaitable[object]]] = [
                    lambda: world.documents.read("waves"),
                    other.documents.list,
                    there.livingworld.worlds.list,
                    lambda: world.run(do_nothing),
                    lambda: asyncio.gather(world.stories.list()),
                    lambda: asyncio.create_task(make(lambda _: world.transaction(), there)),
                ]
                await ways[way % len(ways)]()

    async with asyncio.timeout(8):  # shorter than the pool's time limit
        await asyncio.gather(*(block(number) for number in range(12)))
    assert (await world.documents.read("waves")).value == 12


async def test_a_call_in_the_work_of_a_unit_is_refused_and_the_unit_goes_on(
    there: Furnished, database_url: str
) -> None:
    world, engine = there.world, create_async_engine(url_of_the_run(database_url))

    async def work(tx: TransactionScope) -> int:
        with pytest.raises(AlreadyInTransaction):
            await world.documents.read("flags")
        return int((await tx.documents.increment("waves")).value)

    async def handler(action: RunningAction) -> None:
        await action.complete(work)

    assert await world.run(work) == await world.run(work, request_key="k") - 1
    async with world.locks.exclusive("tide") as tx:
        await work(tx)
    async with engine.connect() as connection, world.join(connection) as tx, other_tx(world, connection) as same:
        await work(tx)
        await work(same)
    await engine.dispose()
    await world.actions.worker({"walk": handler}).run_once()
    assert (await world.actions.get(there.waiting.id)).state == "done"


def other_tx(world: World, connection: AsyncConnection) -> AbstractAsyncContextManager[TransactionScope]:
    """Join the same transaction again: one connection, however many worlds work in it."""
    return world.join(connection)


async def test_a_task_that_outlives_the_block_is_its_own_master(there: Furnished) -> None:
    world, ended = there.world, asyncio.Event()

    async def later() -> int:
        await ended.wait()
        return int((await world.documents.read("waves")).value)

    async with world.transaction() as tx:
        task = asyncio.create_task(later())
        await tx.documents.increment("waves")
    ended.set()
    assert await task == 1


async def test_what_runs_in_the_background_is_not_refused_because_of_who_woke_it(there: Furnished) -> None:
    world = there.world
    async with world.ai_models.serving({"narrator": loaded}, probe=do_nothing) as host:
        async with world.transaction() as tx:
            async with host.pin("narrator") as pinned:  # its loading serves all callers
                assert pinned.handle == "loaded"
            await tx.documents.increment("waves")
        async with world.transaction(), host.pin("narrator"):
            pass


async def loaded(_: object) -> str:
    return "loaded"


async def test_another_living_world_has_connections_of_its_own(there: Furnished, database_url: str) -> None:
    async with LivingWorld.open(database_url=database_url) as other, there.world.transaction() as tx:
        await tx.documents.increment("waves")
        assert (await other.worlds.get(there.world.id)).record.name == there.world.record.name

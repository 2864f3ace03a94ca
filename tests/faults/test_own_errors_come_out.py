"""Whatever becomes of the session or the server, the caller's own exception is what leaves a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from typing import Any, Final

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from livingworld import LivingWorld, NewScene, Settings, TransactionScope, World
from livingworld.errors import LivingWorldError, NothingToUndo, Unavailable
from livingworld.testing.hashing_embedder import HashingEmbedder
from livingworld.testing.staged_races import connected
from tests.support.every_write import Furnished, furnish
from tests.support.patience import patiently
from tests.support.run_role import url_of_the_run
from tests.support.staging import backend_of


class Mine(Exception):  # noqa: N818 - somebody's own
    """What the application itself raises."""


async def end_session(url: str, tx: TransactionScope) -> None:
    pid = await backend_of(tx)
    async with connected(url) as administrator:
        assert await administrator.fetchval("SELECT pg_terminate_backend(CAST($1 AS integer), 5000)", pid)


async def cut_off(url: str) -> None:
    """End every session of the database, and let nobody in again."""
    name = url.rsplit("/", 1)[1].split("?", maxsplit=1)[0]
    async with connected(url.replace(name, "postgres", 1)) as administrator:
        await administrator.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        ended = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = $1"
        await administrator.fetchval(ended, name)


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("error", [Mine("no"), NothingToUndo(), OSError("mine"), asyncio.CancelledError()])
@pytest.mark.parametrize("way", ["run", "transaction", "locks"])
async def test_the_callers_own_error_leaves_a_unit_whose_session_was_ended(
    database_url: str, world: World, error: BaseException, way: str
) -> None:
    async def work(tx: TransactionScope) -> None:
        await tx.documents.increment("waves")
        await end_session(database_url, tx)
        raise error

    async def in_block(block: AbstractAsyncContextManager[TransactionScope]) -> None:
        async with block as tx:
            await work(tx)

    ways = {
        "run": lambda: world.run(work),
        "transaction": lambda: in_block(world.transaction()),
        "locks": lambda: in_block(world.locks.exclusive("tide")),
    }
    with pytest.raises(type(error)) as raised:
        await ways[way]()

    assert raised.value is error
    assert any("session was lost" in note for note in error.__notes__)
    assert await world.documents.find("waves") is None


async def test_the_loss_itself_comes_out_by_name_when_nothing_else_was_raised(database_url: str, world: World) -> None:
    with pytest.raises(Unavailable):
        async with world.transaction() as tx:
            await tx.documents.increment("waves")
            await end_session(database_url, tx)


@pytest.mark.parametrize("inside", [True, False])
async def test_a_joined_session_that_is_gone_has_a_name(database_url: str, world: World, *, inside: bool) -> None:
    engine = create_async_engine(url_of_the_run(database_url))
    session = AsyncSession(engine)
    try:
        if inside:
            with pytest.raises(Mine):
                async with world.join(session) as tx:
                    await end_session(database_url, tx)
                    raise Mine
        else:
            async with world.join(session) as tx:
                await end_session(database_url, tx)
            with suppress(Exception):
                await (await session.connection()).exec_driver_sql("SELECT 1")
            with pytest.raises(LivingWorldError):
                async with world.join(session):
                    pass
    finally:
        with suppress(Exception):
            await session.close()
        await engine.dispose()


BLOCKS: Final[dict[str, Callable[[Furnished], AbstractAsyncContextManager[object]]]] = {
    "turns.take": lambda at: at.world.turns.take(at.story.id, request_key="k"),
    "turns.regenerate": lambda at: at.world.turns.regenerate(at.story.id, request_key="k"),
    "leases.hold": lambda at: at.world.leases.hold("tide"),
    "tasks.running": lambda at: at.world.tasks.running(at.session.id, "draw"),
    "tasks.owning": lambda at: at.world.tasks.owning(at.task),
    "tasks.taking_over": lambda at: at.world.tasks.taking_over(_nothing, at_once=2),
    "sessions.sweeping": lambda at: at.world.sessions.sweeping(idle_for=timedelta(hours=1)),
    "scripts.use": lambda at: at.world.scripts.use("greeting"),
    "scripts.following": lambda at: at.world.scripts.following(),
    "ai_models.serving": lambda at: at.world.ai_models.serving({"narrator": _nothing}, probe=_nothing),
    "ai_models.collecting": lambda at: at.world.ai_models.collecting(stop_within=timedelta(seconds=1)),
    "live.subscribe": lambda at: at.world.live.subscribe(story=at.story.id),
    "actions.worker": lambda at: at.world.actions.worker({"walk": _nothing}).running(),
    "memory_embeddings": lambda at: at.world.memory_embeddings(HashingEmbedder()).running(),
    "text_embeddings": lambda at: at.world.text_embeddings(HashingEmbedder()).running(),
    "transaction": lambda at: at.world.transaction(),
    "locks.exclusive": lambda at: at.world.locks.exclusive("tide"),
    "locks.shared": lambda at: at.world.locks.shared("tide"),
    "locks.try_exclusive": lambda at: at.world.locks.try_exclusive("tide"),
}


async def _nothing(*_: object) -> Any:  # noqa: ANN401 - whatever is asked of it
    """Stand for any function that somebody gives."""


@pytest_asyncio.fixture
async def there(database_url: str) -> AsyncIterator[Furnished]:
    settings = Settings.load(database_url=database_url, outage_retries=0, connect_timeout=timedelta(seconds=2))
    async with LivingWorld.open(settings) as livingworld:
        yield await furnish(livingworld)


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("block", BLOCKS)
async def test_the_callers_own_error_leaves_a_block_when_the_server_is_away(
    database_url: str, there: Furnished, block: str
) -> None:
    mine = Mine("no")
    with pytest.raises(Mine) as raised:
        async with patiently(), BLOCKS[block](there):
            await cut_off(database_url)
            raise mine

    assert raised.value is mine


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("block", BLOCKS)
async def test_nothing_of_the_driver_leaves_a_block_when_the_server_is_away(
    database_url: str, there: Furnished, block: str
) -> None:
    with suppress(LivingWorldError):
        async with patiently(), BLOCKS[block](there):
            await cut_off(database_url)


async def test_the_error_of_a_phase_comes_out_when_its_end_cannot_be_stored(
    database_url: str, there: Furnished
) -> None:
    mine = Mine("no")

    async def phase(_: object) -> None:
        await cut_off(database_url)
        raise mine

    with pytest.raises(Mine) as raised:
        await there.world.cycles.run("tide", {"turn": phase})

    assert raised.value is mine


async def test_the_error_of_a_write_comes_out_when_the_turn_cannot_be_given_up(
    database_url: str, there: Furnished
) -> None:
    mine = Mine("no")

    async def write(_: object) -> NewScene:
        await cut_off(database_url)
        raise mine

    with pytest.raises(Mine) as raised:
        await there.world.turns.play(there.story.id, write, request_key="k")

    assert raised.value is mine

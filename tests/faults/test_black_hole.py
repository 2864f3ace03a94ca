"""The network swallows everything and says nothing: calls end soon after their limit, and the pool heals."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from livingworld import LivingWorld, NewScene, Story, World
from livingworld.errors import CommitUnknown, Timeout, Unavailable
from livingworld.settings.settings import Settings
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy, ProxiedConnection
from livingworld.testing.staged_races import Connection
from tests.support.aftermath import assert_nothing_left, count, engine_of, eventually
from tests.support.patience import NEVER, patiently
from tests.support.turn_checks import until_found

_LIMIT: Final = timedelta(milliseconds=400)
_SETTINGS: Final = {
    "lock_timeout": timedelta(milliseconds=100),
    "statement_timeout": timedelta(milliseconds=200),
    "command_timeout": _LIMIT,
    "connect_timeout": _LIMIT,
    "outage_retries": 0,
}
LISTENING: Final = """
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND query ILIKE 'LISTEN%' AND pid <> pg_backend_pid()
"""
#: The driver takes 2 s to give a connection up that does not say goodbye; the rest is for a slow machine. Without a
#: limit nobody would ever come back.
_GIVING_UP: Final = timedelta(seconds=30)

pytestmark = pytest.mark.usefixtures("strict_loop", "no_patience")

CALLS: Final[dict[str, Callable[[World, Story], Awaitable[object]]]] = {
    "head": lambda world, story: world.stories.head(story.id),
    "append": lambda world, story: world.stories.append_scene(story.id, NewScene("Lost.")),
    "append with a request key": lambda world, story: world.stories.append_scene(
        story.id, NewScene("Lost."), request_key="once"
    ),
    "append with a new name": lambda world, story: world.stories.append_scene(
        story.id, NewScene("Lost.", cast=["Mara"])
    ),
    "update": lambda world, story: world.stories.update(story.id, expected_version=1, title="Lost"),
    "get_or_create": lambda world, _: world.characters.get_or_create("Mara"),
}


@asynccontextmanager
async def behind(proxy: ProtocolProxy, **settings: Any) -> AsyncIterator[tuple[LivingWorld, World, Story]]:  # noqa: ANN401
    async with LivingWorld.open(database_url=proxy.url) as patient:
        world_id = (there := await patient.worlds.create("Saltmarsh")).id
        story = await there.stories.create("The Causeway")
    async with LivingWorld.open(Settings.load(database_url=proxy.url, **_SETTINGS | settings)) as livingworld:
        try:
            yield livingworld, await reached(livingworld, world_id), story
        finally:
            proxy.flowing.set()


async def reached(livingworld: LivingWorld, world_id: UUID) -> World:
    """Return the world, over a connection that is there then: a slow machine may miss the short limits at first."""
    async with patiently():
        while True:
            with contextlib.suppress(Timeout, Unavailable):
                return await livingworld.worlds.get(world_id)


async def time_of(call: Awaitable[object]) -> timedelta:
    began = asyncio.get_running_loop().time()
    with pytest.raises((Timeout, Unavailable)):
        async with patiently():
            await call
    return timedelta(seconds=asyncio.get_running_loop().time() - began)


async def healed(world: World, story: Story) -> bool:
    """Return whether the story takes a scene again: what got lost may hold its lock until it arrives and fails."""
    try:
        await world.stories.append_scene(story.id, NewScene("Healed."))
    except (Timeout, Unavailable):
        return False
    return True


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("pool", ["warm", "cold"])
@pytest.mark.parametrize("call", CALLS)
async def test_a_call_ends_soon_after_its_limit(
    call: str, pool: str, proxy: ProtocolProxy, observer: Connection
) -> None:
    async with behind(proxy) as (livingworld, world, story):
        if pool == "cold":
            await engine_of(livingworld).dispose()
        proxy.flowing.clear()

        assert await time_of(CALLS[call](world, story)) < _LIMIT + _GIVING_UP

        proxy.flowing.set()
        assert await eventually(lambda: healed(world, story))
        await assert_nothing_left(livingworld, observer)


async def test_with_retries_the_time_limit_ends_them(proxy: ProtocolProxy) -> None:
    limit = timedelta(seconds=1)
    async with behind(proxy, outage_retries=1000, call_timeout=limit) as (_, world, story):
        proxy.flowing.clear()

        assert await time_of(world.stories.head(story.id)) < limit + _LIMIT + _GIVING_UP


async def test_a_commit_without_an_answer_is_unknown(proxy: ProtocolProxy, observer: Connection) -> None:
    before_it = {"lock_timeout": timedelta(seconds=2), "statement_timeout": timedelta(seconds=3)}
    async with behind(proxy, **before_it, command_timeout=timedelta(seconds=4)) as (livingworld, world, story):

        async def swallow(_: ProxiedConnection) -> None:
            proxy.flowing.clear()

        proxy.at(Moment.AFTER, "COMMIT;", swallow)
        with pytest.raises(CommitUnknown):
            await world.stories.update(story.id, expected_version=1, title="Renamed")

        proxy.flowing.set()
        assert await count(observer, "stories", title="Renamed") == 1
        await assert_nothing_left(livingworld, observer)


async def test_a_cancelled_call_does_not_wait_for_the_network(proxy: ProtocolProxy) -> None:
    async with behind(proxy, command_timeout=NEVER) as (_, world, story):
        sent = proxy.at(Moment.BEFORE, "", nothing)
        proxy.flowing.clear()
        updating = asyncio.create_task(world.stories.update(story.id, expected_version=1, title="Lost"))
        await sent.happened.wait()
        updating.cancel()

        async with patiently():
            with pytest.raises(asyncio.CancelledError):
                await updating


async def nothing(_: ProxiedConnection) -> None:
    """Let it pass."""


async def test_closing_ends_although_the_connection_that_listens_hears_nothing_any_more(
    proxy: ProtocolProxy, database_url: str
) -> None:
    async with behind(proxy) as (livingworld, _, __):
        notifications = livingworld.worlds._process.notifications
        with notifications.subscribe("tide"):
            await until_found(database_url, LISTENING)
        proxy.flowing.clear()
        async with patiently():
            await notifications.close()

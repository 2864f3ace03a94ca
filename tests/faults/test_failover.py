"""A standby takes over while eight players write: no error reaches a caller, and every scene is there once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from livingworld import LivingWorld, NewScene, Settings, Story, World
from livingworld.embedded_server import find_binaries
from livingworld.errors import ServerReadOnly
from livingworld.postgres import migrations
from livingworld.testing.staged_races import connected
from tests.faults.tcp_server import TcpServer, standby_of, tcp_server
from tests.support.aftermath import eventually, scene_contents
from tests.support.embedded_servers import wait_for
from tests.support.patience import patiently

_WRITERS: Final = 8
_BEFORE: Final = 40
_AFTER: Final = 5
#: What still runs in the sessions of players.
_RUNNING: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
"""
_POSITION: Final = "SELECT pg_current_wal_lsn()::text"


@pytest.fixture
def primary() -> Iterator[TcpServer]:
    with tcp_server(find_binaries()) as server:
        yield server


@pytest.fixture
def standby(primary: TcpServer) -> Iterator[TcpServer]:
    with standby_of(primary) as server:
        yield server


def either(primary: TcpServer, standby: TcpServer) -> str:
    """Return the URL of whichever of the two takes writes."""
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    return f"postgresql://trusted@{hosts}/postgres?target_session_attrs=read-write"


def stop_and_promote(primary: TcpServer, standby: TcpServer) -> None:
    """Switch over as an administrator does: a server that stops sends its standby everything first."""
    primary.stop()
    standby.promote()


def fence_and_promote(primary: TcpServer, standby: TcpServer) -> None:
    """Switch over as a managed service does: the old primary stays up and takes no writes."""
    primary.configure("default_transaction_read_only", "on")
    wait_for(lambda: primary.ask(_RUNNING) == 0)
    end = primary.ask(_POSITION)
    wait_for(lambda: standby.ask(f"SELECT pg_last_wal_replay_lsn() >= '{end}'") is True)
    standby.promote()


async def play(
    world: World, story: Story, writer: int, acknowledged: list[tuple[int, str]], switched: asyncio.Event
) -> None:
    number = after = 0
    while after < _AFTER:
        after += switched.is_set()
        number += 1
        text = f"Writer {writer}, scene {number}."
        scene = await world.stories.append_scene(story.id, NewScene(text), request_key=f"{writer}-{number}")
        acknowledged.append((scene.number, text))


@pytest.mark.slow
@pytest.mark.parametrize("switch_over", [stop_and_promote, fence_and_promote])
async def test_a_planned_switchover_is_seen_by_no_player(
    primary: TcpServer, standby: TcpServer, switch_over: Callable[[TcpServer, TcpServer], None]
) -> None:
    await migrations.upgrade(primary.url())
    acknowledged: list[tuple[int, str]] = []
    switched = asyncio.Event()

    async def switch() -> None:
        async def begun() -> bool:
            return len(acknowledged) >= _BEFORE

        assert await eventually(begun)
        await asyncio.to_thread(switch_over, primary, standby)
        switched.set()

    async with LivingWorld.open(Settings.load(database_url=either(primary, standby))) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        async with patiently():
            await asyncio.gather(switch(), *(play(world, story, n, acknowledged, switched) for n in range(_WRITERS)))

    async with connected(standby.url()) as observer:
        found = await scene_contents(observer, story.id)
    assert sorted(acknowledged) == list(enumerate(found, start=1))


@pytest.mark.slow
async def test_no_session_stays_on_a_server_that_takes_no_writes(primary: TcpServer, standby: TcpServer) -> None:
    await migrations.upgrade(primary.url())
    settings = Settings.load(database_url=either(primary, standby), outage_retries=1)
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        stories = await asyncio.gather(*(world.stories.create(f"Story {n}") for n in range(settings.pool_size)))
        await asyncio.to_thread(fence_and_promote, primary, standby)

        # Each finds the former primary's sessions in the pool, and one further try is enough for any of them.
        for story in stories:
            await world.stories.append_scene(story.id, NewScene("They meet."), request_key="once")
        await world.characters.get_or_create("Mara")


@pytest.mark.slow
async def test_a_server_that_stays_read_only_is_a_named_error_after_the_budget(primary: TcpServer) -> None:
    await migrations.upgrade(primary.url())
    async with LivingWorld.open(Settings.load(database_url=primary.url(), outage_retries=1)) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        await asyncio.to_thread(primary.configure, "default_transaction_read_only", "on")

        with pytest.raises(ServerReadOnly):
            await world.stories.create("The Causeway")
        assert (await livingworld.worlds.get(world.id)).record.name == "Saltmarsh"

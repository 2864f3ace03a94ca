"""A repetition is not acknowledged before the standby has what the first call stored, whose caller gave up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import pytest

from livingworld import LivingWorld, NewScene, Story, World
from livingworld.embedded_server import find_binaries
from livingworld.postgres import migrations
from tests.faults.tcp_server import TcpServer, tcp_server
from tests.support.patience import patiently, until

pytestmark = pytest.mark.xdist_group("synchronous replication")  # what they share is made once

_WAITING: Final = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' ORDER BY query_start DESC LIMIT 1"


async def _note(_: object) -> str:
    return "noted"


async def _tell(_: object) -> NewScene:
    return NewScene("They meet.")


@dataclass
class Played:
    """A story that has begun."""

    livingworld: LivingWorld
    world: World
    story: Story


Call: TypeAlias = Callable[[Played], Coroutine[Any, Any, object]]

#: What a repetition of another process finds.
KEYED: Final[dict[str, Call]] = {
    "worlds.create": lambda at: at.livingworld.worlds.create("Elsewhere", request_key="once"),
    "stories.create": lambda at: at.world.stories.create("Too late", request_key="once"),
    "stories.append_scene": lambda at: at.world.stories.append_scene(at.story.id, NewScene("3"), request_key="once"),
    "branches.fork": lambda at: at.world.branches.fork(at.story.id, "new", at=1, request_key="once"),
    "sessions.open": lambda at: at.world.sessions.open(request_key="once"),
    "world.run": lambda at: at.world.run(_note, request_key="once"),
    "turns.play": lambda at: at.world.turns.play(at.story.id, _tell, request_key="once", busy="queue"),
}
#: What the process itself repeats when the answer to its COMMIT is lost.
REPEATED: Final[dict[str, Call]] = KEYED | {
    "worlds.create, no key": lambda at: at.livingworld.worlds.create("Elsewhere"),
    "stories.get_or_create": lambda at: at.world.stories.get_or_create("save"),
    "characters.get_or_create": lambda at: at.world.characters.get_or_create("Ada"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[TcpServer]:
    with tcp_server(find_binaries()) as running:
        yield running


@pytest.fixture
async def there(server: TcpServer) -> AsyncIterator[Played]:
    await migrations.upgrade(server.url())
    async with LivingWorld.open(database_url=server.url()) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        await world.stories.append_scene(story.id, NewScene("Fog."))
        yield Played(livingworld, world, story)


async def waiting(server: TcpServer, call: asyncio.Task[object], beside: object = None) -> object:
    """Return the session whose COMMIT waits for a standby, or None when the call ends without such a wait."""
    await until(lambda: call.done() or server.ask(_WAITING) not in (None, beside))
    return None if call.done() else server.ask(_WAITING)


@asynccontextmanager
async def silent_standby(server: TcpServer) -> AsyncIterator[None]:
    """Let every COMMIT wait for a standby that is not there."""
    server.configure("synchronous_standby_names", "nowhere")
    try:
        async with patiently():
            yield
    finally:
        server.configure("synchronous_standby_names", "")


@pytest.mark.parametrize("name", REPEATED)
async def test_what_a_process_repeats_waits_for_the_standby_again(server: TcpServer, there: Played, name: str) -> None:
    async with silent_standby(server):
        call = asyncio.create_task(REPEATED[name](there))
        first = await waiting(server, call)
        # What it wrote is stored and not replicated: the call runs again on another session.
        server.ask(f"SELECT pg_terminate_backend({first}, 10000)")
        again = await waiting(server, call, first)

    assert first is not None
    assert again is not None, f"{call.result()!r} was acknowledged"
    await call


@pytest.mark.parametrize("name", KEYED)
async def test_an_equal_request_waits_for_the_standby_too(server: TcpServer, there: Played, name: str) -> None:
    # Whether the first caller got an answer, or gave up while its COMMIT waited, the second cannot know.
    await KEYED[name](there)
    async with silent_standby(server):
        call = asyncio.create_task(KEYED[name](there))
        again = await waiting(server, call)

    assert again is not None, f"{call.result()!r} was acknowledged"
    await call

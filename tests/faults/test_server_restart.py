"""kill -9 of the server under load: what was acknowledged is there, once, and nobody has to start anything."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest

from livingworld import LivingWorld, NewScene, Story, World
from livingworld.embedded_server import EmbeddedServer
from livingworld.errors import Unavailable
from livingworld.observability import events
from livingworld.postgres import migrations
from livingworld.settings.settings import Settings
from livingworld.testing.protocol_proxy import protocol_proxy
from livingworld.testing.staged_races import Connection, connected
from tests.support.aftermath import assert_nothing_left, eventually, scene_contents
from tests.support.embedded_servers import kill, needs_linux, server_process
from tests.support.patience import patiently

_WRITERS: Final = 8
_SCENES_OF_A_WRITER: Final = 30
_KILLED_AT: Final = (40, 120)


def kill_server(server: EmbeddedServer) -> None:
    process = server_process(data_of(server))
    assert process is not None
    kill(process)


def data_of(server: EmbeddedServer) -> Path:
    return server.data_directory


async def write(world: World, story: Story, writer: int, acknowledged: list[tuple[int, str]]) -> None:
    for number in range(_SCENES_OF_A_WRITER):
        text = f"Writer {writer}, scene {number}."
        scene = await world.stories.append_scene(story.id, NewScene(text), request_key=f"{writer}-{number}")
        acknowledged.append((scene.number, text))


async def kill_twice(server: EmbeddedServer, acknowledged: list[tuple[int, str]]) -> None:
    for threshold in _KILLED_AT:

        async def reached(threshold: int = threshold) -> bool:
            return len(acknowledged) >= threshold

        assert await eventually(reached)
        await asyncio.to_thread(kill_server, server)
        assert len(acknowledged) < _WRITERS * _SCENES_OF_A_WRITER, "the server was killed when all was done"


@needs_linux
@pytest.mark.usefixtures("strict_loop")
async def test_every_acknowledged_scene_survives_a_killed_server(own_server: EmbeddedServer) -> None:
    url = own_server.url()
    await migrations.upgrade(url)
    acknowledged: list[tuple[int, str]] = []
    async with LivingWorld.open() as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        writers = [write(world, story, number, acknowledged) for number in range(_WRITERS)]

        async with patiently():
            await asyncio.gather(kill_twice(own_server, acknowledged), *writers)

        async with connected(url) as observer:
            found = await scene_contents(observer, story.id)
            await assert_nothing_left(livingworld, observer)
    assert len(found) == _WRITERS * _SCENES_OF_A_WRITER
    assert sorted(acknowledged) == list(enumerate(found, start=1))


@pytest.mark.usefixtures("strict_loop", "no_patience")
async def test_a_server_away_for_good_is_unavailable_after_the_budget(
    database_url: str, observer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[events.Event] = []
    monkeypatch.setattr(events, "emit", lambda event, **_: heard.append(event))
    async with protocol_proxy(database_url) as proxy:
        settings = Settings.load(database_url=proxy.url, outage_retries=3)
        async with LivingWorld.open(settings) as livingworld:
            world = await livingworld.worlds.create("Saltmarsh")
            await proxy.close()
            heard.clear()

            async with patiently():
                with pytest.raises(Unavailable):
                    await world.characters.find("Mara")

            assert heard == [events.RETRIED] * 3 + [events.FAILED]
            await assert_nothing_left(livingworld, observer)

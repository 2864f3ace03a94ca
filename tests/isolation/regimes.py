"""What the tests of isolation share: rows that another session holds, and calls that meet them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID, uuid4

from livingworld import NewScene, Scene, Story, Subject, World
from livingworld.testing.staged_races import Holder, connected, holding
from tests.support.staging import stop

#: An answer that does not come while a row is held is a failure; far under every limit that would end the wait for it.
_HELD_SECONDS: Final = 60
_HELD: Final = "SELECT FROM livingworld.stories WHERE story_id = ANY ($1::uuid[]) FOR UPDATE"
#: What refuses a scene, or takes for ever to store it, by its text.
_POISON: Final = """
    CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.content = 'poison' THEN RAISE EXCEPTION 'poisoned'; END IF;
        IF NEW.content = 'slow' THEN PERFORM pg_sleep(600); END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER poison BEFORE INSERT ON livingworld.scenes FOR EACH ROW EXECUTE FUNCTION poison();
"""


@asynccontextmanager
async def held(url: str, stories: Sequence[Story]) -> AsyncIterator[Holder]:
    """Hold the rows of stories in a session of another program."""
    async with holding(url, _HELD, [[story.id for story in stories]]) as holder:
        yield holder


@asynccontextmanager
async def running(calls: Sequence[Coroutine[Any, Any, Any]]) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Run calls beside the block, and leave none behind."""
    tasks = [asyncio.create_task(call) for call in calls]
    try:
        yield tasks
    finally:
        await stop(tasks)


async def while_held(calls: Sequence[Awaitable[Any]]) -> list[Any]:
    """Return the answers of calls that meet no held row."""
    async with asyncio.timeout(_HELD_SECONDS):
        return await asyncio.gather(*calls, return_exceptions=True)


async def play(world: World, story_id: UUID) -> Scene:
    """Take a turn and commit it."""

    async def write(_: object) -> NewScene:
        return NewScene("played")

    return await world.turns.play(story_id, write, request_key=uuid4().hex)


def every_write(world: World, story: Story) -> list[Coroutine[Any, Any, Any]]:
    """Return a call of each way in which a story is written: in a group, as a unit, in a transaction of its own."""
    return [
        world.stories.append_scene(story.id, NewScene("appended")),
        play(world, story.id),
        world.facts.set(story.id, Subject("weather"), "sky", "grey"),
        world.stories.update(story.id, expected_version=1, title="Renamed"),
        world.stories.append_scene(story.id, NewScene("cast", cast=[f"Newcomer {story.id}"])),
    ]


async def poison(url: str) -> None:
    """Let the database refuse scenes with the text 'poison', and take for ever with 'slow'."""
    async with connected(url) as connection:
        await connection.execute(_POISON)

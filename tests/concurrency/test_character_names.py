"""Race 3: many callers bring one character in, each spelling the name another way."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from livingworld import Character, NewScene, Story, World
from livingworld.identifiers import new_id
from livingworld.story.characters import naming
from livingworld.story.characters.name_key import name_key
from livingworld.testing.staged_races import connected, holding
from tests.support.staging import deadlocks, kinds, same_world, stop
from tests.support.story_checks import read_path

CALLERS = 60
#: As a model writes it, or a player, or another model.
SPELLINGS = (
    unicodedata.normalize("NFC", "José of the Lantern"),
    unicodedata.normalize("NFD", "José of the Lantern"),
    "JOSÉ OF THE LANTERN",
    "  josé  of the\u00a0lantern ",
    "Jo\u200bsé of the Lan\u00adtern",
    "\u202aJosé of the Lantern\u202c",
)
#: Holds up every new name of a world without holding up a read of one.
NEW_NAMES = "LOCK TABLE livingworld.characters IN SHARE MODE"


@pytest.fixture
async def worlds(database_url: str, world: World) -> AsyncIterator[list[World]]:
    """Give the world twice, each time with a pool for half of the callers."""
    async with same_world(database_url, world.id, pools=2, pool_size=CALLERS) as opened:
        yield opened


async def bring_in(world: World, story: Story, spelling: str) -> tuple[Character, bool]:
    async with world.transaction() as tx:
        scene = await tx.stories.append_scene(story.id, NewScene(spelling))
        answer = await tx.characters.get_or_create(spelling)
    assert scene.content == spelling
    return answer


async def get_naively(url: str, world_id: UUID, spelling: str) -> UUID:
    key = name_key(spelling)
    find = "SELECT character_id FROM livingworld.characters WHERE world_id = $1 AND card ->> 'key' = $2"
    make = "INSERT INTO livingworld.characters (world_id, character_id, name, card)"
    make += " VALUES ($1, $2, $3, jsonb_build_object('key', $4::text))"
    async with connected(url) as connection:
        found: UUID | None = await connection.fetchval(find, world_id, key)
        if found is None:
            found = new_id()
            await connection.execute(make, world_id, found, spelling, key)
    return found


async def all_at_once(url: str, worlds: list[World], *, blocked: int) -> list[tuple[Character, bool]]:
    stories = [await worlds[0].stories.create(f"Of caller {number}") for number in range(CALLERS)]
    tasks: list[asyncio.Task[tuple[Character, bool]]] = []
    try:
        async with holding(url, NEW_NAMES) as holder:
            for number, story in enumerate(stories):
                spelling = SPELLINGS[number % len(SPELLINGS)]
                tasks.append(asyncio.create_task(bring_in(worlds[number % 2], story, spelling)))
            await holder.until_blocked(count=blocked)
        answers = await asyncio.gather(*tasks)
    finally:
        await stop(tasks)
    for story in stories:  # each caller's own scene is there: nothing was swallowed
        assert await read_path(worlds[0], story.id, 1) == [1]
    return answers


async def one_character(url: str, world: World, answers: list[tuple[Character, bool]]) -> None:
    assert len(answers) == CALLERS
    assert sum(created for _, created in answers) == 1
    found = await world.characters.find(SPELLINGS[0])
    assert all(character == found for character, _ in answers)
    assert len((await world.characters.list()).items) == 1
    async with connected(url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM livingworld.character_names") == 1
    assert await deadlocks(url) == 0


async def test_sixty_spellings_at_once_are_one_character_and_sixty_equal_answers(
    database_url: str, worlds: list[World]
) -> None:
    answers = await all_at_once(database_url, worlds, blocked=CALLERS)

    await one_character(database_url, worlds[0], answers)


async def test_without_the_lock_the_constraint_alone_keeps_it_one(
    database_url: str, worlds: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lock_nothing(*_: object) -> None:
        return

    monkeypatch.setattr(naming, "lock_names", lock_nothing)
    answers = await all_at_once(database_url, worlds, blocked=CALLERS)

    await one_character(database_url, worlds[0], answers)


async def test_of_edits_of_one_version_one_is_stored(world: World) -> None:
    mara, _ = await world.characters.get_or_create("Mara")
    edits = [world.characters.update(mara.id, expected_version=1, card={"number": number}) for number in range(4)]
    results = await asyncio.gather(*edits, return_exceptions=True)

    assert kinds(results) == ["Character", *["VersionConflict"] * 3]


async def test_look_then_insert_without_lock_and_constraint_makes_many(database_url: str, world: World) -> None:
    async with holding(database_url, NEW_NAMES) as holder:
        callers = [asyncio.create_task(get_naively(database_url, world.id, SPELLINGS[n % 6])) for n in range(12)]
        await holder.until_blocked(count=12)
    answers = await asyncio.gather(*callers)

    assert len(set(answers)) == 12, "one name should have one character"

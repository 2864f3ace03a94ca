"""Race 1: several writers change the story that they all have read."""

from __future__ import annotations

from uuid import UUID

import pytest

from livingworld import Story, World
from livingworld.errors import VersionConflict
from livingworld.testing.staged_races import connected
from tests.support.staging import THE_STORY, kinds, race

LETTERS = "ABCD"


async def write_letter(world: World, read: Story, letter: str) -> Story:
    return await world.stories.update(read.id, expected_version=read.version, premise=read.premise + letter)


async def write_letter_until_it_is_in(world: World, story_id: UUID, letter: str) -> Story:
    while True:
        try:
            return await write_letter(world, await world.stories.get(story_id), letter)
        except VersionConflict:
            continue


async def write_letter_naively(url: str, world_id: UUID, story_id: UUID, letter: str) -> None:
    async with connected(url) as connection:
        key = (world_id, story_id)
        premise = await connection.fetchval(
            "SELECT premise FROM livingworld.stories WHERE world_id = $1 AND story_id = $2", *key
        )
        await connection.execute(
            "UPDATE livingworld.stories SET premise = $3, version = version + 1 WHERE world_id = $1 AND story_id = $2",
            *key,
            premise + letter,
        )


@pytest.fixture
async def empty(world: World) -> Story:
    return await world.stories.create("The Causeway")


async def test_of_four_writers_of_one_version_one_wins_and_three_are_told(
    database_url: str, world: World, empty: Story
) -> None:
    writers = [write_letter(world, empty, letter) for letter in LETTERS]
    results = await race(database_url, THE_STORY, [world.id, empty.id], writers, blocked=4)

    assert kinds(results) == ["Story", "VersionConflict", "VersionConflict", "VersionConflict"]
    assert {(e.expected, e.actual) for e in results if isinstance(e, VersionConflict)} == {(1, 2)}
    (winner,) = (result for result in results if isinstance(result, Story))
    assert await world.stories.get(empty.id) == winner
    assert winner.premise in LETTERS
    assert [(old.version, old.content["premise"]) for old in await world.stories.revisions(empty.id)] == [(1, "")]


async def test_writers_that_read_again_lose_no_letter_and_leave_every_revision(
    database_url: str, world: World, empty: Story
) -> None:
    writers = [write_letter_until_it_is_in(world, empty.id, letter) for letter in LETTERS]
    await race(database_url, THE_STORY, [world.id, empty.id], writers, blocked=4)

    stored = await world.stories.get(empty.id)
    revisions = await world.stories.revisions(empty.id)
    assert sorted(stored.premise) == list(LETTERS)
    assert stored.version == 1 + len(LETTERS)
    assert [old.version for old in revisions] == [1, 2, 3, 4]
    assert [old.content["premise"] for old in revisions] == [stored.premise[:length] for length in range(4)]


async def test_writers_that_read_under_the_lock_need_no_second_try(
    database_url: str, world: World, empty: Story
) -> None:
    async def write(letter: str) -> None:
        async with world.transaction() as tx:
            await tx.stories.lock(empty.id)
            read = await tx.stories.get(empty.id)
            await tx.stories.update(read.id, expected_version=read.version, premise=read.premise + letter)

    results = await race(
        database_url, THE_STORY, [world.id, empty.id], [write(letter) for letter in LETTERS], blocked=4
    )

    assert results == [None] * 4
    assert sorted((await world.stories.get(empty.id)).premise) == list(LETTERS)


async def test_read_then_write_without_the_version_loses_three_of_four_letters(
    database_url: str, world: World, empty: Story
) -> None:
    writers = [write_letter_naively(database_url, world.id, empty.id, letter) for letter in LETTERS]
    results = await race(database_url, THE_STORY, [world.id, empty.id], writers, blocked=4)

    stored = await world.stories.get(empty.id)
    assert results == [None] * 4
    assert (len(stored.premise), stored.version) == (1, 5)

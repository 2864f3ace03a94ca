"""Race: many callers ask for the world, the story or the character of one key of the application's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

import pytest

from livingworld import LivingWorld, World
from livingworld.postgres import own_keys
from livingworld.story.characters import naming
from livingworld.testing.staged_races import connected, holding
from tests.support.aftermath import engine_of
from tests.support.sent_statements import sent_statements
from tests.support.staging import deadlocks, same_world, stop

CALLERS: Final = 16
Ask: TypeAlias = Callable[[LivingWorld, World, int], Coroutine[Any, Any, tuple[UUID, bool]]]


async def ask_world(livingworld: LivingWorld, _: World, number: int) -> tuple[UUID, bool]:
    world, created = await livingworld.worlds.get_or_create("channel 7", name=f"Of caller {number}")
    return world.id, created


async def ask_story(_: LivingWorld, world: World, number: int) -> tuple[UUID, bool]:
    story, created = await world.stories.get_or_create("save 7", title=f"Of caller {number}")
    return story.id, created


async def ask_character(_: LivingWorld, world: World, number: int) -> tuple[UUID, bool]:
    character, created = await world.characters.get_or_create(f"Player {number}", key="account 7")
    return character.id, created


@dataclass(frozen=True)
class Room:
    """What has keys, and how to ask for one."""

    table: str
    ask: Ask


ROOMS: Final = (Room("worlds", ask_world), Room("stories", ask_story), Room("characters", ask_character))


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lock_nothing(*_: object) -> None:
        return

    for module in (own_keys, naming):
        monkeypatch.setattr(module, "lock_names", lock_nothing)


async def all_at_once(url: str, room: Room, *, blocked: int) -> list[tuple[UUID, bool]]:
    """Let callers of two processes ask at one moment, behind a lock that holds up every new row."""
    async with LivingWorld.open(database_url=url) as livingworld:
        home = await livingworld.worlds.create("Saltmarsh")
        async with same_world(url, home.id, pools=2, pool_size=CALLERS) as worlds:
            tasks: list[asyncio.Task[tuple[UUID, bool]]] = []
            try:
                async with holding(url, f"LOCK TABLE livingworld.{room.table} IN SHARE MODE") as holder:
                    for number in range(CALLERS):
                        world = worlds[number % 2]
                        tasks.append(asyncio.create_task(room.ask(livingworld, world, number)))
                    await holder.until_blocked(count=blocked)
                return await asyncio.gather(*tasks)
            finally:
                await stop(tasks)


async def rows_with_a_key(url: str, room: Room) -> int:
    async with connected(url) as connection:
        found: int = await connection.fetchval(
            f"SELECT count(*) FROM livingworld.{room.table} WHERE key IS NOT NULL"  # noqa: S608 - our own words
        )
        return found


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.table)
async def test_one_is_made_and_all_get_it(database_url: str, room: Room) -> None:
    answers = await all_at_once(database_url, room, blocked=1)

    assert sum(created for _, created in answers) == 1
    assert len({found for found, _ in answers}) == 1
    assert await rows_with_a_key(database_url, room) == 1
    assert await deadlocks(database_url) == 0


async def test_of_many_in_one_process_one_goes_to_the_database_for_each_new_key(
    livingworld: LivingWorld, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = sent_statements(monkeypatch, engine_of(livingworld))
    answers = await asyncio.gather(*(world.stories.get_or_create(f"save {n % 3}") for n in range(90)))

    assert sum(created for _, created in answers) == len({story.id for story, _ in answers}) == 3
    assert len([statement for statement in sent if "pg_advisory_xact_lock" in statement]) == 3


@pytest.mark.usefixtures("without_locks")
@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.table)
async def test_without_the_lock_the_index_alone_keeps_it_one(database_url: str, room: Room) -> None:
    answers = await all_at_once(database_url, room, blocked=2)

    assert sum(created for _, created in answers) == 1
    assert len({found for found, _ in answers}) == 1
    assert await rows_with_a_key(database_url, room) == 1


@pytest.mark.usefixtures("without_locks")
@pytest.mark.parametrize("room", ROOMS[:2], ids=lambda room: room.table)
async def test_without_the_lock_and_the_index_there_are_many(database_url: str, room: Room) -> None:
    async with connected(database_url) as connection:
        await connection.execute(f"DROP INDEX livingworld.uq_{room.table}_key")

    with contextlib.suppress(Exception):  # a key of two rows is an error where one is looked for
        await all_at_once(database_url, room, blocked=2)

    assert await rows_with_a_key(database_url, room) > 1


async def test_a_key_that_was_purged_between_two_looks_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = await world.stories.get_or_create("save 7")

    async def find_then_purge(unit: object, find: object, make: object, key: str) -> object:
        await world.stories.purge(first.id)
        return await get_or_create(unit, find, make, key)  # type: ignore[arg-type]

    get_or_create = own_keys.get_or_create
    monkeypatch.setattr("livingworld.story.stories.repository.get_or_create", find_then_purge)
    again, created = await world.stories.get_or_create("save 7")

    assert created
    assert again.id != first.id
    assert (await world.stories.find_by_key("save 7")) == again

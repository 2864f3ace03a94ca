"""Every call that makes a row takes effect once for each request key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from livingworld import LivingWorld, NewLoreEntry, NewScene, World
from livingworld.errors import ActionNotFound, InteractionNotFound, LoreEntryNotFound, QueueFull, RequestKeyReused
from tests.support.turn_checks import rows


@dataclass(frozen=True)
class There:
    """Where rows are made."""

    livingworld: LivingWorld
    world: World
    story: UUID
    session: UUID


#: The table of the rows, and the call with a word that is one of its arguments, and with a request key.
CREATES: Final[dict[str, tuple[str, Callable[[There, str, str], Awaitable[Any]]]]] = {
    "worlds.create": ("worlds", lambda at, word, key: at.livingworld.worlds.create(word, request_key=key)),
    "stories.create": ("stories", lambda at, word, key: at.world.stories.create(word, request_key=key)),
    "stories.append_scene": (
        "scenes",
        lambda at, word, key: at.world.stories.append_scene(at.story, NewScene(word), request_key=key),
    ),
    "branches.fork": ("branches", lambda at, word, key: at.world.branches.fork(at.story, word, request_key=key)),
    "sessions.open": ("sessions", lambda at, word, key: at.world.sessions.open(player=word, request_key=key)),
    "interactions.add": (
        "interactions",
        lambda at, word, key: at.world.interactions.add(at.session, word, request_key=key),
    ),
    "lore.add": ("lore_entries", lambda at, word, key: at.world.lore.add(NewLoreEntry(word), request_key=key)),
    "lore.add_many": (
        "lore_entries",
        lambda at, word, key: at.world.lore.add_many([NewLoreEntry(word), NewLoreEntry("Fog.")], request_key=key),
    ),
    "actions.enqueue": ("actions", lambda at, word, key: at.world.actions.enqueue("mara", word, request_key=key)),
    "actions.enqueue, policy": (
        "actions",
        lambda at, word, key: at.world.actions.enqueue("mara", word, conflict="replace", request_key=key),
    ),
    "ai_models.register": (
        "ai_models",
        lambda at, word, key: at.world.ai_models.register("narrator", provider="local", name=word, request_key=key),
    ),
}


@pytest.mark.parametrize("name", CREATES)
async def test_one_key_is_one_row_and_the_same_record(
    livingworld: LivingWorld, world: World, database_url: str, name: str
) -> None:
    there, (table, create) = await begin(livingworld, world), CREATES[name]
    first = await create(there, "one", "click")
    stored = await count(database_url, table)
    again = await create(there, "one", "click")
    at_once = await asyncio.gather(*(create(there, "two", "another click") for _ in range(4)))

    assert identity(again) == identity(first)
    assert len({identity(each) for each in at_once}) == 1
    assert identity(at_once[0]) != identity(first)
    assert await count(database_url, table) == stored + (2 if name == "lore.add_many" else 1)


@pytest.mark.parametrize("name", CREATES)
async def test_one_key_with_other_arguments_is_refused(
    livingworld: LivingWorld, world: World, database_url: str, name: str
) -> None:
    there, (table, create) = await begin(livingworld, world), CREATES[name]
    await create(there, "one", "click")
    stored = await count(database_url, table)
    with pytest.raises(RequestKeyReused):
        await create(there, "two", "click")

    assert await count(database_url, table) == stored


async def test_a_repetition_returns_what_stands_there_now(livingworld: LivingWorld, world: World) -> None:
    there = await begin(livingworld, world)
    first = {name: await create(there, "one", name) for name, (_, create) in CREATES.items()}
    await world.interactions.update(there.session, 1, response="The lamplighter.")
    await world.lore.update(first["lore.add"].id, expected_version=1, title="A bell")
    await world.actions.cancel(first["actions.enqueue, policy"].id)
    await world.ai_models.mark_validated(first["ai_models.register"].id)
    now = {name: await create(there, "one", name) for name, (_, create) in CREATES.items()}

    assert now["interactions.add"].response == "The lamplighter."
    assert now["lore.add"].title == "A bell"
    assert (now["actions.enqueue"].state, now["actions.enqueue, policy"].state) == ("replaced", "cancelled")
    assert now["ai_models.register"].validated_at is not None


async def test_a_repetition_of_what_was_removed_says_so(livingworld: LivingWorld, world: World) -> None:
    there = await begin(livingworld, world)
    first = {name: await create(there, "one", name) for name, (_, create) in CREATES.items()}
    await world.interactions.clear(there.session)
    await world.lore.remove(first["lore.add"].id, expected_version=1)
    await world.lore.remove(first["lore.add_many"][1].id, expected_version=1)
    await world.actions.forget("mara", ended_for=timedelta(0))
    gone = {
        "interactions.add": InteractionNotFound,
        "lore.add": LoreEntryNotFound,
        "lore.add_many": LoreEntryNotFound,
        "actions.enqueue": ActionNotFound,
    }

    for name, error in gone.items():
        with pytest.raises(error):
            await CREATES[name][1](there, "one", name)


@pytest.mark.parametrize("conflict", ["queue", "replace"])
async def test_a_command_that_found_no_room_may_come_again_under_its_key(world: World, conflict: Any) -> None:  # noqa: ANN401
    await world.actions.limit_lane("mara", 1)
    full = await world.actions.enqueue("mara", "walk")
    if conflict == "queue":
        with pytest.raises(QueueFull):
            await world.actions.enqueue("mara", "run", request_key="click")
        await world.actions.cancel(full.id)
    made = await world.actions.enqueue("mara", "run", conflict=conflict, request_key="click")

    assert (await world.actions.enqueue("mara", "run", request_key="click")).id == made.id


async def begin(livingworld: LivingWorld, world: World) -> There:
    story = await world.stories.create("The Causeway")
    session = await world.sessions.open()
    return There(livingworld, world, story.id, session.id)


def identity(made: Any) -> object:  # noqa: ANN401 - a record, or several
    if isinstance(made, tuple):
        return tuple(each.id for each in made)
    return getattr(made, "id", None) or made.number


async def count(url: str, table: str) -> int:
    ((found,),) = await rows(url, f"SELECT count(*) FROM livingworld.{table}")  # noqa: S608 - names from this file
    return int(found)

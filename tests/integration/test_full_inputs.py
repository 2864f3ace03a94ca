"""What meets its limit exactly is stored, also in characters of four bytes that do not compress, where indexes end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final
from uuid import UUID

import pytest

from livingworld import CastMember, NewAction, NewLoreEntry, NewMemory, NewScene, Story, Subject, Turn, World
from livingworld.coordination.actions.new_action import MAX_ACTIONS
from livingworld.errors import InvalidText
from livingworld.inputs import (
    MAX_CHOICE_CHARACTERS,
    MAX_CONTENT_CHARACTERS,
    MAX_DESCRIPTION_CHARACTERS,
    MAX_JSON_CHARACTERS,
    MAX_LABEL_CHARACTERS,
    MAX_RAW_RESPONSE_CHARACTERS,
)
from livingworld.story.characters.name_key import MAX_NAME_CHARACTERS
from livingworld.story.characters.repository import MAX_NAMES
from livingworld.story.facts.new_facts import MAX_FACTS, MAX_KEY_BYTES
from livingworld.story.lore.records import MAX_KEYS
from livingworld.story.memories.repository import MAX_MEMORIES
from livingworld.story.stories.new_scene import MAX_CAST, MAX_CHOICES

pytestmark = pytest.mark.any_server
Call = Callable[[World, Story], Awaitable[object]]

_CHANCE: Final = Random("full")
#: Letters of four bytes.
_FIRST, _LAST = 0x20000, 0x2A6DF
_BYTES: Final = 4


def wide(length: int = MAX_LABEL_CHARACTERS) -> str:
    return "".join(map(chr, _CHANCE.choices(range(_FIRST, _LAST), k=length)))


def full_json() -> dict[str, Any]:
    return {"a": wide(MAX_JSON_CHARACTERS - len('{"a":""}'))}


def full_scene() -> NewScene:
    return NewScene(
        wide(MAX_CONTENT_CHARACTERS),
        [wide(MAX_CHOICE_CHARACTERS) for _ in range(MAX_CHOICES)],
        location=wide(),
        story_time=wide(),
        metadata=full_json(),
        raw_response=wide(MAX_RAW_RESPONSE_CHARACTERS),
    )


def full_cast() -> NewScene:
    return NewScene("All.", (), [CastMember(wide(MAX_NAME_CHARACTERS), wide()) for _ in range(MAX_CAST)])


def full_lore() -> NewLoreEntry:
    keys, more = ([wide() for _ in range(MAX_KEYS)] for _ in range(2))
    text = wide(MAX_DESCRIPTION_CHARACTERS)
    return NewLoreEntry(text, keys, book=wide(), title=wide(), secondary_keys=more, raw=full_json())


async def one_turn(world: World, story: Story) -> object:
    async def play(_: Turn) -> NewScene:
        return NewScene("One.")

    text = wide(MAX_DESCRIPTION_CHARACTERS)
    return await world.turns.play(story.id, play, request_key=wide(), player=wide(), instruction=text)


async def an_interaction(world: World, _: Story) -> object:
    session = await world.sessions.open(player=wide(), context=full_json(), request_key=wide())
    return await world.interactions.add(session.id, wide(MAX_CONTENT_CHARACTERS))


async def a_lease(world: World, _: Story) -> None:
    async with world.leases.hold(wide()):
        pass


def full_facts() -> dict[tuple[UUID | str, str], object]:
    part = MAX_LABEL_CHARACTERS
    return {(Subject(wide(part)), wide(MAX_KEY_BYTES // _BYTES - part - 1)): 1 for _ in range(MAX_FACTS)}


CALLS: Final[dict[str, Call]] = {
    "a story": lambda w, _: w.stories.get_or_create(wide(), title=wide(), premise=wide(MAX_DESCRIPTION_CHARACTERS)),
    "a scene": lambda w, story: w.stories.append_scene(story.id, full_scene(), request_key=wide()),
    "a cast": lambda w, story: w.stories.append_scene(story.id, full_cast()),
    "a turn": one_turn,
    "a character": lambda w, _: w.characters.get_or_create(wide(MAX_NAME_CHARACTERS), card=full_json()),
    "names": lambda w, _: w.characters.get_or_create_many([wide(MAX_NAME_CHARACTERS) for _ in range(MAX_NAMES)]),
    "facts": lambda w, story: w.facts.set_many(story.id, full_facts()),
    "a fact": lambda w, story: w.facts.set(story.id, Subject(wide(100)), wide(), full_json()),
    "memories": lambda w, story: w.memories.add(
        story.id, [NewMemory(wide(100), kind=wide()) for _ in range(MAX_MEMORIES)]
    ),
    "a memory": lambda w, story: w.memories.add(story.id, [NewMemory(wide(MAX_DESCRIPTION_CHARACTERS))]),
    "lore": lambda w, _: w.lore.add(full_lore()),
    "a document": lambda w, _: w.documents.compare_and_set(wide(), full_json(), expected_version=0),
    "a counter": lambda w, _: w.documents.increment(wide(), field=wide()),
    "an interaction": an_interaction,
    "a branch": lambda w, story: w.branches.fork(story.id, wide()),
    "a player": lambda w, _: w.presence.join(wide()),
    "a lease": a_lease,
    "an action": lambda w, _: w.actions.enqueue(wide(), wide(), full_json()),
    "actions of as many lanes": lambda w, _: w.actions.enqueue_many(
        [NewAction(lane=f"lane {number}", kind="walk") for number in range(MAX_ACTIONS)]
    ),
}


@pytest.mark.parametrize("name", CALLS)
async def test_what_meets_its_limit_is_stored(world: World, story: Story, name: str) -> None:
    await CALLS[name](world, story)


async def test_a_fact_whose_two_names_are_too_long_together_is_refused_by_name(world: World, story: Story) -> None:
    subject, attribute = Subject(wide()), wide(MAX_KEY_BYTES // _BYTES - MAX_LABEL_CHARACTERS)
    with pytest.raises(InvalidText, match="attribute"):
        await world.facts.set(story.id, subject, attribute, 1)  # beside the sign of a word one byte too many

    await world.facts.set(story.id, subject, attribute[:-1], 1)

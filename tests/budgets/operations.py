"""The operations that have a budget."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable

from livingworld import NewMemory, NewScene, Turn, World
from livingworld.identifiers import new_id

Operation = Callable[[], Awaitable[object]]
#: 1,300 characters of words that repeat little.
TEXT = " ".join(f"{word}{number}" for number in range(70) for word in ("tide", "lamp", "road"))[:1_300]
SCENE = NewScene(TEXT, ("Wade across", "Wait for the ebb", "Call out to the far side"))


async def prepare(world: World) -> dict[str, Operation]:
    """Fill a world, and return its operations by name."""
    story = (await world.stories.create("The Causeway")).id
    for _ in range(25):
        await world.stories.append_scene(story, SCENE)
    mara, _ = await world.characters.get_or_create("Mara")
    await world.facts.set(story, mara.id, "mood", "calm")
    await world.memories.add(story, [NewMemory("The tide took the lamp.")])
    await world.documents.increment("board", field="turn")
    return await operations(world)


async def operations(world: World) -> dict[str, Operation]:
    """Return the operations in a world that was prepared, by name."""
    story = (await world.stories.list()).items[0].id
    keys = (f"{new_id()}" for _ in itertools.count())
    return {
        "append": lambda: world.stories.append_scene(story, SCENE),
        "append with a request key": lambda: world.stories.append_scene(story, SCENE, request_key=next(keys)),
        "whole turn": lambda: world.turns.play(story, write, request_key=next(keys)),
        "head": lambda: world.stories.head(story),
        "recent(20)": lambda: world.stories.recent(story, 20),
        "get_or_create": lambda: world.characters.get_or_create("Mara"),
        "fact": lambda: world.facts.get(story, "Mara", "mood"),
        "recall by words": lambda: world.memories.recall(story, "lamp"),
        "search among what is not indexed": lambda: world.search.find("lamp12"),
        "read a document": lambda: world.documents.read("board"),
        "increment a document": lambda: world.documents.increment("board", field="turn"),
        "enqueue an action": lambda: world.actions.enqueue("lane", "walk", {"to": "the quay"}),
    }


async def write(_: Turn) -> NewScene:
    """Answer at once."""
    return SCENE

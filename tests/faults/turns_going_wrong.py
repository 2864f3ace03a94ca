"""Turns under faults: whole turns to break, and what must be true of them afterwards."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Final

from livingworld import (
    LivingWorld,
    NewMemory,
    NewScene,
    NewState,
    RelationshipChange,
    Scene,
    Story,
    TransactionScope,
    Turn,
    World,
)
from livingworld.testing.staged_races import Connection
from tests.support.aftermath import assert_nothing_left, count, eventually, scene_contents
from tests.support.turn_checks import broken_turns

#: So long a lease lives here that nobody gives back.
LEASE: Final = timedelta(seconds=3)
QUICK: Final = {"turn_lease": LEASE, "poll_interval": timedelta(seconds=0.05)}
KEY: Final = "once"
#: A counter of the world, for what must take place once.
EFFECT: Final = "turns"


async def write(turn: Turn) -> NewScene:
    """Answer at once, with a character that nobody knows yet."""
    await turn.record("the raw answer")
    return NewScene("Told.", choices=["Wait"], cast=["Mara"])


async def play(world: World, story: Story) -> Scene:
    """Play a whole turn."""
    return await world.turns.play(story.id, write, request_key=KEY, busy="queue")


async def play_with_state(world: World, story: Story) -> Scene:
    """Play a whole turn that brings a fact, a change and a memory."""

    async def write_with_state(turn: Turn) -> tuple[NewScene, NewState]:
        return await write(turn), NewState(
            facts={("Mara", "mood"): "wary"},
            relationships=[RelationshipChange("Mara", "Tom", trust=0.1)],
            memories=[NewMemory("what was told", "Mara")],
        )

    await world.characters.get_or_create("Tom")
    return await world.turns.play(story.id, write_with_state, request_key=KEY, busy="queue")


async def play_with_effect(world: World, story: Story) -> Scene:
    """Play a whole turn that calls a model before, and counts itself in a document of the world."""

    async def work(tx: TransactionScope) -> None:
        await tx.documents.increment(EFFECT)

    async with world.turns.take(story.id, request_key=KEY, busy="queue") as turn:
        if turn.scene is not None:
            return turn.scene
        async with turn.call("planner") as call:
            call.answer("Go on.")
        return await turn.commit(await write(turn), effect=work)


async def regenerate(world: World, story: Story) -> Scene:
    """Regenerate the scene at the head."""
    async with world.turns.regenerate(story.id, request_key=KEY, busy="queue") as turn:
        if turn.scene is not None:
            return turn.scene
        return await turn.commit(await write(turn))


#: A whole turn, and what the story has after it when it had one scene before.
CASES: Final[dict[str, tuple[Callable[[World, Story], Coroutine[Any, Any, Scene]], list[str]]]] = {
    "play": (play, ["First.", "Told."]),
    "play with state": (play_with_state, ["First.", "Told."]),
    "play with an effect": (play_with_effect, ["First.", "Told."]),
    "regenerate": (regenerate, ["Told."]),
}


async def begin(livingworld: LivingWorld) -> tuple[World, Story]:
    """Make a world with a story of one scene."""
    world = await livingworld.worlds.create("Saltmarsh")
    story = await world.stories.create("The Causeway")
    await world.stories.append_scene(story.id, NewScene("First."))
    return world, story


async def settled(livingworld: LivingWorld) -> None:
    """Wait until nothing is given up or withdrawn in the background any more."""
    tasks = livingworld.worlds._process.tasks

    async def over() -> bool:
        return not tasks._finishing

    assert await eventually(over)


async def assert_wholly_or_not(
    livingworld: LivingWorld, observer: Connection, url: str, story: Story, before: int
) -> int:
    """Fail when a part of a turn is stored; return how many scenes were told."""
    await settled(livingworld)
    await assert_nothing_left(livingworld, observer)
    told = len(await scene_contents(observer, story.id)) - before
    committed = await count(observer, "turns", story_id=story.id, request_key=KEY, state="committed")
    shown = await observer.fetchval(
        "SELECT count(*) FROM livingworld.generations WHERE story_id = $1 AND request_key = $2"
        " AND scene_number IS NOT NULL",
        story.id,
        KEY,
    )
    assert committed == shown
    assert await broken_turns(url, story.id, idle=False) == []
    return int(told)


async def assert_told_once(observer: Connection, url: str, world: World, story: Story, texts: list[str]) -> None:
    """Fail unless the story has these scenes, the turn is committed once with its state, and nothing is left of it."""
    assert await scene_contents(observer, story.id) == texts
    people = await count(observer, "characters", world_id=world.id)
    assert people in {1, 2}
    for table in ("facts", "relationship_changes", "memories"):
        assert await count(observer, table, story_id=story.id) == people - 1, table  # with state there is Tom
    assert await count(observer, "turns", story_id=story.id, state="committed", request_key=KEY) == 1
    counted = await observer.fetchval("SELECT value FROM livingworld.documents WHERE world_id = $1", world.id)
    assert counted == ("1" if await count(observer, "model_calls", story_id=story.id) else None)
    assert await broken_turns(url, story.id) == []

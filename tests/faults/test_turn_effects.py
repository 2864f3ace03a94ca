"""The effect of a turn takes place once and with the scene, or neither does, also where a COMMIT has no answer."""

from __future__ import annotations

import pytest

from livingworld import LiveEvent, LiveKind, NewScene, NewState, Story, TransactionScope, World
from livingworld.errors import Fenced
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy
from tests.support.live_checks import nothing_more
from tests.support.patience import patiently
from tests.support.staging import same_world
from tests.support.turn_checks import at_once, broken_turns, rows

COMMIT = "COMMIT;"
COUNTER = "scenes"


class Effect:
    """Counts in a document of the world, and how often it was called."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.calls = 0

    async def __call__(self, tx: TransactionScope) -> None:
        self.calls += 1
        head = await tx.stories.head(self.story.id)
        assert head.scene is not None
        await tx.documents.increment(COUNTER)


async def counted(world: World) -> object:
    found = await world.documents.find(COUNTER)
    return found and found.value


@pytest.mark.parametrize("moment", Moment)
async def test_it_takes_place_once_when_the_answer_of_the_commit_is_lost(
    moment: Moment, proxy: ProtocolProxy, world: World, story: Story, database_url: str
) -> None:
    effect = Effect(story)
    async with world.turns.take(story.id, request_key="one") as turn:
        fault = proxy.at(moment, COMMIT)
        scene = await turn.commit(
            NewScene("x", cast=["Mara"]), NewState(facts={("Mara", "mood"): "glad"}), effect=effect
        )

    assert fault.happened.is_set()
    assert (scene.number, await counted(world)) == (1, 1)
    assert effect.calls == (1 if moment is Moment.AFTER else 2)
    assert len(await world.facts.all(story.id)) == 1
    assert await broken_turns(database_url, story.id) == []


async def test_an_effect_that_raises_leaves_nothing_and_the_turn_is_held_on(world: World, story: Story) -> None:
    async def fail(tx: TransactionScope) -> None:
        await tx.documents.increment(COUNTER)
        raise ZeroDivisionError

    async with world.turns.take(story.id, request_key="one") as turn:
        with pytest.raises(ZeroDivisionError):
            await turn.commit(NewScene("x", cast=["Mara"]), effect=fail)
        assert (turn.scene, await counted(world)) == (None, None)
        assert (await world.characters.list()).items == ()
        scene = await turn.commit(NewScene("without it"))

    assert (scene.number, scene.content) == (1, "without it")


async def test_a_turn_that_was_lost_has_no_effect(world: World, story: Story) -> None:
    effect = Effect(story)
    with pytest.raises(Fenced):
        async with world.turns.take(story.id, request_key="one") as turn:
            await world.turns.play(story.id, at_once("another"), request_key="two", busy="replace")
            await turn.commit(NewScene("x"), effect=effect)

    assert (effect.calls, await counted(world)) == (0, None)


async def test_a_regenerated_scene_has_its_effect_too(world: World, story: Story) -> None:
    effect = Effect(story)
    await world.turns.play(story.id, at_once("one"), request_key="one")
    async with world.turns.regenerate(story.id, request_key="two") as turn:
        scene = await turn.commit(NewScene("another"), effect=effect)

    assert (scene.number, scene.content, await counted(world)) == (1, "another", 1)


async def test_it_is_published_as_a_commit_without_effect_is(world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as of_story, world.live.subscribe() as of_world:
        async with world.turns.take(story.id, request_key="one") as turn:
            await turn.commit(NewScene("x", cast=["Mara"]), effect=Effect(story))
        async with patiently():
            told = [await anext(events) for events in (of_story, of_world)]
        kinds = [event.kind for event in told if isinstance(event, LiveEvent)]
        assert kinds == [LiveKind.SCENE_APPENDED, LiveKind.CHARACTER_CREATED]
        assert await nothing_more(of_story)


async def test_a_second_process_waits_for_the_effect_and_does_not_repeat_it(
    database_url: str, world: World, story: Story
) -> None:
    effect = Effect(story)
    async with same_world(database_url, world.id, pools=1) as (elsewhere,):
        async with world.turns.take(story.id, request_key="one") as turn:
            await turn.commit(NewScene("x"), effect=effect)
        async with elsewhere.turns.take(story.id, request_key="one") as again:
            assert again.scene == await again.commit(NewScene("x"), effect=effect)

    assert (effect.calls, await counted(world)) == (1, 1)
    assert await rows(database_url, "SELECT state FROM livingworld.turns") == [("committed",)]

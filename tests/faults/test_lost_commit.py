"""The connection is lost around COMMIT: the error says what is known, and a request key finds out the rest."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from livingworld import LivingWorld, NewScene, Scene, Story, World
from livingworld.app.transaction_scope import TransactionScope
from livingworld.errors import CommitUnknown
from livingworld.postgres.group_commit import group_commit
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy
from livingworld.testing.staged_races import Connection
from tests.support.aftermath import assert_nothing_left, count, scene_contents

both_moments = pytest.mark.parametrize("moment", Moment)
APPEND = "append_plain_scene_v1"
COMMIT = "COMMIT;"


def stored(moment: Moment) -> int:
    """Return how many rows a commit leaves that is cut at this moment."""
    return 1 if moment is Moment.AFTER else 0


@both_moments
async def test_an_append_with_a_request_key_is_stored_once(
    moment: Moment, proxy: ProtocolProxy, story: Story, world: World, livingworld: LivingWorld, observer: Connection
) -> None:
    fault = proxy.at(moment, APPEND)

    scene = await world.stories.append_scene(story.id, NewScene("The lantern."), request_key="once")
    again = await world.stories.append_scene(story.id, NewScene("The lantern."), request_key="once")

    assert fault.happened.is_set()
    assert scene.number == again.number == 1
    assert await scene_contents(observer, story.id) == ["The lantern."]
    await assert_nothing_left(livingworld, observer)


@pytest.mark.direct_connection("behind a pooler it is a transaction whose COMMIT was not sent: nothing is unknown")
@both_moments
async def test_an_append_without_one_is_unknown_and_not_repeated(
    moment: Moment, proxy: ProtocolProxy, story: Story, world: World, livingworld: LivingWorld, observer: Connection
) -> None:
    proxy.at(moment, APPEND)

    with pytest.raises(CommitUnknown):
        await world.stories.append_scene(story.id, NewScene("The lantern.", choices=["Wait"]))

    assert await scene_contents(observer, story.id) == ["The lantern."] * stored(moment)
    assert await count(observer, "scenes", choices=["Wait"]) == stored(moment)
    assert (await world.stories.append_scene(story.id, NewScene("Next."))).number == stored(moment) + 1
    await assert_nothing_left(livingworld, observer)


@both_moments
async def test_an_append_with_new_names_and_a_request_key_is_stored_once(
    moment: Moment, proxy: ProtocolProxy, story: Story, world: World, livingworld: LivingWorld, observer: Connection
) -> None:
    fault = proxy.at(moment, COMMIT)

    scene = await world.stories.append_scene(story.id, NewScene("They meet.", cast=["Mara", "Tom"]), request_key="once")

    assert fault.happened.is_set()
    assert scene.number == 1
    assert len(scene.cast) == 2
    assert await scene_contents(observer, story.id) == ["They meet."]
    assert await count(observer, "characters") == await count(observer, "scene_cast") == 2
    await assert_nothing_left(livingworld, observer)


@pytest.mark.direct_connection(
    "behind a pooler the statement that finds no such name has a COMMIT, which the fault would meet"
)
@both_moments
async def test_an_append_with_new_names_without_one_is_stored_wholly_or_not_at_all(
    moment: Moment, proxy: ProtocolProxy, story: Story, world: World, livingworld: LivingWorld, observer: Connection
) -> None:
    proxy.at(moment, COMMIT)

    with pytest.raises(CommitUnknown):
        await world.stories.append_scene(story.id, NewScene("They meet.", cast=["Mara"]))

    assert await scene_contents(observer, story.id) == ["They meet."] * stored(moment)
    assert await count(observer, "characters") == await count(observer, "scene_cast") == stored(moment)
    await assert_nothing_left(livingworld, observer)


async def _write_two(story: Story, tx: TransactionScope) -> str:
    await tx.stories.append_scene(story.id, NewScene("First."))
    await tx.stories.append_scene(story.id, NewScene("Second."))
    character, _ = await tx.characters.get_or_create("Mara")
    return str(character.id)


@both_moments
async def test_a_run_with_a_request_key_takes_effect_once(
    moment: Moment, proxy: ProtocolProxy, story: Story, world: World, livingworld: LivingWorld, observer: Connection
) -> None:
    fault = proxy.at(moment, COMMIT)

    answer = await world.run(partial(_write_two, story), request_key="once")

    assert fault.happened.is_set()
    assert answer == await world.run(partial(_write_two, story), request_key="once")
    assert await scene_contents(observer, story.id) == ["First.", "Second."]
    assert await observer.fetchval("SELECT character_id::text FROM livingworld.characters") == answer
    await assert_nothing_left(livingworld, observer)


@both_moments
async def test_a_run_without_one_is_unknown_and_not_repeated(
    moment: Moment, proxy: ProtocolProxy, story: Story, world: World, livingworld: LivingWorld, observer: Connection
) -> None:
    proxy.at(moment, COMMIT)

    with pytest.raises(CommitUnknown):
        await world.run(partial(_write_two, story))

    assert await scene_contents(observer, story.id) == ["First.", "Second."] * stored(moment)
    await assert_nothing_left(livingworld, observer)


@both_moments
async def test_creating_needs_no_request_key(
    moment: Moment, proxy: ProtocolProxy, livingworld: LivingWorld, observer: Connection
) -> None:
    faults = [proxy.at(moment, COMMIT)]
    world = await livingworld.worlds.create("Saltmarsh")
    faults.append(proxy.at(moment, COMMIT))
    story = await world.stories.create("The Causeway")
    faults.append(proxy.at(moment, COMMIT))
    character, created = await world.characters.get_or_create("Mara")

    assert all(fault.happened.is_set() for fault in faults)
    assert await count(observer, "worlds", world_id=world.id) == await count(observer, "worlds") == 1
    assert await count(observer, "stories", story_id=story.id) == await count(observer, "branches") == 1
    assert await count(observer, "characters", character_id=character.id) == await count(observer, "characters") == 1
    assert created
    await assert_nothing_left(livingworld, observer)


async def _keyed_or_not(world: World, story: Story, number: int) -> Scene | CommitUnknown:
    try:
        return await world.stories.append_scene(
            story.id, NewScene(f"Scene {number}."), request_key=f"key-{number}" if number % 2 else None
        )
    except CommitUnknown as unknown:
        return unknown


@pytest.mark.direct_connection("behind a pooler it is a transaction whose COMMIT was not sent: nothing is unknown")
@both_moments
@pytest.mark.parametrize("story_count", [1, 4])
async def test_in_a_group_each_append_has_its_own_answer(
    moment: Moment,
    story_count: int,
    proxy: ProtocolProxy,
    world: World,
    livingworld: LivingWorld,
    observer: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A group that takes long on a busy machine is cancelled and divided: its answer is an error, and it stored nothing.
    monkeypatch.setattr(group_commit, "_OVERDUE", timedelta(minutes=1))
    stories = [await world.stories.create(f"Story {number}") for number in range(story_count)]
    fault = proxy.at(moment, "append_scenes_v1")

    answers = await asyncio.gather(*(_keyed_or_not(world, stories[n % story_count], n) for n in range(16)))

    assert fault.happened.is_set()
    found = [text for story in stories for text in await scene_contents(observer, story.id)]
    unknown = {f"Scene {n}." for n, answer in enumerate(answers) if isinstance(answer, CommitUnknown)}
    acknowledged = {answer.content for answer in answers if isinstance(answer, Scene)}
    assert unknown
    assert unknown.isdisjoint({f"Scene {number}." for number in range(1, 16, 2)})
    assert sorted(found) == sorted(acknowledged | (unknown if stored(moment) else set()))
    await assert_nothing_left(livingworld, observer)

"""Events of the application's own: in order with those of livingworld, small, and named by one word."""

from __future__ import annotations

from typing import Any

import pytest

from livingworld import LiveKind, LivingWorld, NewScene, Story, World
from livingworld.errors import InvalidInput, InvalidJson, InvalidText, InvalidType, SessionNotFound, StoryNotFound
from livingworld.identifiers import new_id
from livingworld.live.publishing import MAX_EVENT_CHARACTERS
from tests.support.live_checks import append, numbers, published, take
from tests.support.turn_checks import rows

COUNT = "SELECT count(*) FROM livingworld.live_events"


async def test_an_event_of_the_application_comes_in_order_with_those_of_the_story(
    database_url: str, world: World, story: Story
) -> None:
    async with world.live.subscribe(story=story.id) as here, LivingWorld.open(database_url=database_url) as elsewhere:
        there = await elsewhere.worlds.get(world.id)
        async with there.live.subscribe(story=story.id) as second:
            async with world.turns.take(story.id, request_key="1") as turn:
                for word in ("Mara", "waits."):
                    await world.live.publish("token", {"text": word}, story=story.id)
                await turn.commit(NewScene("Mara waits."))
            await there.live.publish("typing", story=story.id)
            first = await published(here, 4)
            assert await published(second, 4) == first
            assert await numbers_again(there, story, 4) == [1, 2, 3, 4]
    assert first == [
        ("token", {"text": "Mara"}),
        ("token", {"text": "waits."}),
        (LiveKind.SCENE_APPENDED, {"scene_number": 1, "branch_number": 1}),
        ("typing", {}),
    ]


async def numbers_again(world: World, story: Story, count: int) -> list[int]:
    async with world.live.subscribe(story=story.id, after=0) as events:
        return await numbers(events, count)


async def test_sessions_and_the_world_have_events_of_the_application_too(world: World) -> None:
    session = await world.sessions.open()
    async with world.live.subscribe(session=session.id) as of_session, world.live.subscribe() as of_world:
        await world.live.publish("cursor", {"at": [1, 2]}, session=session.id)
        await world.live.publish("weather", {"wind": 3})
        assert await published(of_session, 1) == [("cursor", {"at": [1, 2]})]
        assert await published(of_world, 1) == [("weather", {"wind": 3})]


async def test_in_a_transaction_it_is_published_with_the_commit_in_the_order_of_the_calls(
    world: World, story: Story
) -> None:
    async with world.live.subscribe(story=story.id) as events:
        with pytest.raises(ZeroDivisionError):
            async with world.transaction() as tx:
                await tx.live.publish("never", story=story.id)
                raise ZeroDivisionError
        async with world.transaction() as tx:
            await tx.live.publish("before", story=story.id)
            await tx.stories.append_scene(story.id, NewScene("x"))
            await tx.live.publish("after", story=story.id)
        assert [kind for kind, _ in await published(events, 3)] == ["before", "scene appended", "after"]


async def test_without_a_follower_nothing_is_stored(database_url: str, world: World, story: Story) -> None:
    await world.live.publish("typing", story=story.id)
    async with world.transaction() as tx:
        await tx.live.publish("typing")
    assert await rows(database_url, COUNT) == [(0,)]


async def test_what_does_not_exist_is_refused_with_and_without_a_transaction(world: World) -> None:
    with pytest.raises(StoryNotFound):
        await world.live.publish("typing", story=new_id())
    with pytest.raises(SessionNotFound):
        await world.live.publish("typing", session=new_id())
    async with world.transaction() as tx:
        with pytest.raises(StoryNotFound):
            await tx.live.publish("typing", story=new_id())


async def test_no_kind_of_livingworld_can_be_published_by_an_application(world: World) -> None:
    for kind in LiveKind:
        with pytest.raises(InvalidText, match="kind: must be one word"):
            await world.live.publish(kind)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("",), InvalidText),
        (("two words",), InvalidText),
        (("line\n",), InvalidText),
        ((1,), InvalidType),
        (("typing", {"at": float("nan")}), InvalidInput),
        (("typing", "text"), InvalidType),
        (("typing", {"text": "x" * MAX_EVENT_CHARACTERS}), InvalidJson),
    ],
)
async def test_bad_events_are_refused_by_the_name_of_the_field(
    world: World, arguments: tuple[Any, ...], error: type[InvalidInput]
) -> None:
    with pytest.raises(error):
        await world.live.publish(*arguments)


async def test_the_largest_event_comes_whole(world: World, story: Story) -> None:
    text = "x" * (MAX_EVENT_CHARACTERS - len('{"text":""}'))
    async with world.live.subscribe(story=story.id) as events:
        await world.live.publish("token", {"text": text}, story=story.id)
        assert await published(events, 1) == [("token", {"text": text})]


async def test_a_story_and_a_session_at_once_is_refused(world: World, story: Story) -> None:
    with pytest.raises(InvalidInput, match="session"):
        await world.live.publish("typing", story=story.id, session=story.id)


async def test_a_follower_that_is_slow_gets_one_missed_for_a_flood_of_tokens(world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id, buffer=2) as events, world.live.subscribe(story=story.id) as peer:
        for number in range(5):
            await world.live.publish("token", {"n": number}, story=story.id)
        assert await numbers(peer, 5) == [1, 2, 3, 4, 5]
        await append(world, story.id, 1)
        assert [item.number for item in await take(peer, 1)] == [6]
        first = (await take(events, 1))[0]
        assert type(first).__name__ == "Missed"

"""Who is connected: joined and left are events once each, and a connection without a heartbeat expires."""

from __future__ import annotations

from datetime import timedelta

import pytest

from livingworld import LiveKind, LivingWorld, Story, World
from livingworld.errors import InvalidInput, PresenceNotFound, SessionNotFound, StoryNotFound
from livingworld.identifiers import new_id
from tests.support.live_checks import nothing_more, published
from tests.support.patience import until
from tests.support.turn_checks import rows

EXPIRE = "UPDATE livingworld.presences SET expires_at = now() - interval '1 second'"
COUNT = "SELECT (SELECT count(*) FROM livingworld.presences), (SELECT count(*) FROM livingworld.present_players)"
JOINED, LEFT = (LiveKind.PLAYER_JOINED, {"player": "tom"}), (LiveKind.PLAYER_LEFT, {"player": "tom"})


async def names(world: World, story: Story) -> list[str]:
    return [each.player for each in await world.presence.list(story=story.id)]


async def test_two_connections_of_a_player_are_one_player_who_joins_and_leaves_once(world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as events:
        tab = await world.presence.join("tom", story=story.id)
        phone = await world.presence.join("tom", story=story.id)
        assert await names(world, story) == ["tom"]
        assert await world.presence.leave(tab.id)
        assert await names(world, story) == ["tom"]
        assert await world.presence.leave(phone.id)
        assert not await world.presence.leave(phone.id)
        assert await names(world, story) == []
        assert await published(events, 2) == [JOINED, LEFT]
        assert await nothing_more(events)


async def test_presence_is_of_a_story_a_session_or_the_world(world: World, story: Story) -> None:
    session = await world.sessions.open()
    await world.presence.join("tom", story=story.id)
    await world.presence.join("mara", session=session.id)
    await world.presence.join("ada")

    assert await names(world, story) == ["tom"]
    assert [each.player for each in await world.presence.list(session=session.id)] == ["mara"]
    assert [each.player for each in await world.presence.list()] == ["ada"]


async def test_a_heartbeat_lengthens_a_connection_and_an_expired_one_is_over(
    database_url: str, world: World, story: Story
) -> None:
    presence = await world.presence.join("tom", story=story.id, ttl=timedelta(minutes=1))
    later = await world.presence.heartbeat(presence.id)
    assert later.expires_at > presence.expires_at

    await rows(database_url, EXPIRE)
    assert await names(world, story) == []
    with pytest.raises(PresenceNotFound):
        await world.presence.heartbeat(presence.id)


async def test_an_expired_player_leaves_once_and_may_come_again(database_url: str, world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as events:
        await world.presence.join("tom", story=story.id)
        await rows(database_url, EXPIRE)
        assert await world.presence.expire() == 1
        assert await world.presence.expire() == 0
        again = await world.presence.join("tom", story=story.id)
        await rows(database_url, EXPIRE)
        await world.presence.join("tom", story=story.id, presence=again.id)  # before any sweeper looked
        assert await published(events, 5) == [JOINED, LEFT, JOINED, LEFT, JOINED]
        assert await nothing_more(events)


async def test_one_connection_that_lives_keeps_the_player_whose_other_one_expired(
    database_url: str, world: World, story: Story
) -> None:
    async with world.live.subscribe(story=story.id) as events:
        await world.presence.join("tom", story=story.id)
        await rows(database_url, EXPIRE)
        await rows(database_url, "UPDATE livingworld.presences SET expires_at = now() + interval '1 minute'")
        dead = await world.presence.join("tom", story=story.id)
        await rows(database_url, EXPIRE + " WHERE presence_id = $1", dead.id)
        assert await world.presence.expire() == 1
        assert await names(world, story) == ["tom"]
        assert await published(events, 1) == [JOINED]
        assert await nothing_more(events)


async def test_joining_again_with_the_same_connection_changes_nothing(
    database_url: str, world: World, story: Story
) -> None:
    async with world.live.subscribe(story=story.id) as events:
        presence = await world.presence.join("tom", story=story.id)
        await world.presence.join("tom", story=story.id, presence=presence.id)
        assert await rows(database_url, COUNT) == [(1, 1)]
        with pytest.raises(InvalidInput, match="presence"):
            await world.presence.join("mara", story=story.id, presence=presence.id)
        assert await published(events, 1) == [JOINED]
        assert await nothing_more(events)
    assert await names(world, story) == ["tom"]


async def test_a_block_joins_stays_and_leaves_in_every_process(
    database_url: str, world: World, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livingworld.live.presence._RENEWALS", 300)
    async with world.live.subscribe(story=story.id) as events, LivingWorld.open(database_url=database_url) as second:
        there = await second.worlds.get(world.id)
        async with world.presence.connected("tom", story=story.id) as presence:
            async with there.presence.connected("tom", story=story.id):
                await until(lambda: lengthened(database_url, presence.id, presence.expires_at))
            assert await names(world, story) == ["tom"]
        assert await published(events, 2) == [JOINED, LEFT]
        assert await nothing_more(events)
    assert await rows(database_url, COUNT) == [(0, 0)]


async def lengthened(url: str, presence_id: object, than: object) -> bool:
    query = "SELECT FROM livingworld.presences WHERE presence_id = $1 AND expires_at > $2"
    return bool(await rows(url, query, presence_id, than))


async def test_the_presences_of_a_story_go_with_it(database_url: str, world: World, story: Story) -> None:
    await world.presence.join("tom", story=story.id)
    await world.stories.purge(story.id)

    assert await rows(database_url, COUNT) == [(0, 0)]


async def test_a_world_is_purged_with_its_players(
    database_url: str, livingworld: LivingWorld, world: World, story: Story
) -> None:
    await world.presence.join("tom", story=story.id)
    await livingworld.worlds.purge(world.id)

    assert await rows(database_url, COUNT) == [(0, 0)]


async def test_what_is_wrong_is_refused_by_name(world: World, story: Story) -> None:
    with pytest.raises(StoryNotFound):
        await world.presence.join("tom", story=new_id())
    with pytest.raises(SessionNotFound):
        await world.presence.join("tom", session=new_id())
    for arguments, field in (
        ({"player": ""}, "player"),
        ({"player": "tom", "ttl": timedelta(0)}, "ttl"),
        ({"player": "tom", "presence": "x"}, "presence"),
    ):
        with pytest.raises(InvalidInput) as refused:
            await world.presence.join(**arguments, story=story.id)
        assert refused.value.field == field

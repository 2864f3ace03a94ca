"""Players who come and go in several processes at once: joined and left in turns, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import pytest

from livingworld import Story, World
from livingworld.testing.staged_races import holding
from tests.support.staging import deadlocks, same_world
from tests.support.turn_checks import rows

THE_PLAYER: Final = "SELECT FROM livingworld.present_players WHERE world_id = $1 AND player = 'tom' FOR UPDATE"
EXPIRE: Final = "UPDATE livingworld.presences SET expires_at = now() - interval '1 second'"
KINDS: Final = "SELECT kind FROM livingworld.live_events WHERE stream_id = $1 ORDER BY event_number"
LEFT_BEHIND: Final = """
    SELECT (SELECT count(*) FROM livingworld.presences), (SELECT count(*) FROM livingworld.present_players)
"""


async def kinds(url: str, story: Story) -> list[str]:
    return [row[0] for row in await rows(url, KINDS, story.id)]


async def behind_the_player(url: str, world: World, contenders: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Let contenders have the player's row in the order in which they are given."""
    tasks: list[asyncio.Task[Any]] = []
    async with holding(url, THE_PLAYER, [world.id]) as holder:
        for contender in contenders:
            tasks.append(asyncio.create_task(contender))
            await holder.until_blocked(count=len(tasks))
    return await asyncio.gather(*tasks)


async def test_the_last_two_connections_leave_at_once_and_the_player_leaves_once(
    database_url: str, world: World, story: Story
) -> None:
    async with same_world(database_url, world.id, pools=2) as (one, two), world.live.subscribe(story=story.id):
        tab = await one.presence.join("tom", story=story.id)
        phone = await two.presence.join("tom", story=story.id)
        leaves = [one.presence.leave(tab.id), two.presence.leave(phone.id)]
        assert await behind_the_player(database_url, world, leaves) == [True, True]
        assert await kinds(database_url, story) == ["player joined", "player left"]
    assert await rows(database_url, LEFT_BEHIND) == [(0, 0)]


@pytest.mark.parametrize("leave_first", [True, False])
async def test_one_connection_comes_while_the_last_one_goes(
    database_url: str, world: World, story: Story, *, leave_first: bool
) -> None:
    async with same_world(database_url, world.id, pools=2) as (one, two), world.live.subscribe(story=story.id):
        tab = await one.presence.join("tom", story=story.id)
        leave, join = one.presence.leave(tab.id), two.presence.join("tom", story=story.id)
        await behind_the_player(database_url, world, [leave, join] if leave_first else [join, leave])
        turns = ["player joined", "player left", "player joined"]
        assert await kinds(database_url, story) == (turns if leave_first else turns[:1])
    assert await rows(database_url, LEFT_BEHIND) == [(1, 1)]


async def test_a_heartbeat_that_comes_before_the_sweeper_decides_keeps_the_player(
    database_url: str, world: World, story: Story
) -> None:
    """The sweeper found the connection expired and waits for its row; it judges by the row as it is then."""
    renew = "UPDATE livingworld.presences SET expires_at = now() + interval '1 minute' WHERE world_id = $1"
    async with world.live.subscribe(story=story.id):
        await world.presence.join("tom", story=story.id)
        await rows(database_url, EXPIRE)
        async with holding(database_url, renew, [world.id], commit=True) as holder:
            sweep = asyncio.create_task(world.presence.expire())
            await holder.until_blocked()
        assert await sweep == 0
        assert await kinds(database_url, story) == ["player joined"]
    assert await rows(database_url, LEFT_BEHIND) == [(1, 1)]


async def test_many_processes_join_leave_and_sweep_at_once_and_events_come_in_turns(
    database_url: str, world: World, story: Story
) -> None:
    async def play(there: World) -> None:
        for _ in range(8):
            presence = await there.presence.join("tom", story=story.id)
            await there.presence.expire()
            await there.presence.leave(presence.id)

    async with (
        same_world(database_url, world.id, pools=3) as worlds,
        world.live.subscribe(story=story.id),
    ):
        await asyncio.gather(*(play(there) for there in worlds), *(play(there) for there in worlds))
        found = await kinds(database_url, story)
    assert found == ["player joined", "player left"] * (len(found) // 2)
    assert await rows(database_url, LEFT_BEHIND) == [(0, 0)]
    assert await deadlocks(database_url) == 0


async def test_several_sweepers_let_each_player_leave_once(database_url: str, world: World, story: Story) -> None:
    async with same_world(database_url, world.id, pools=3) as worlds, world.live.subscribe(story=story.id):
        await asyncio.gather(*(world.presence.join(f"player {n}", story=story.id) for n in range(30)))
        await rows(database_url, EXPIRE)
        while sum(await asyncio.gather(*(there.presence.expire(limit=7) for there in worlds))):
            pass
        assert (await kinds(database_url, story)).count("player left") == 30
    assert await rows(database_url, LEFT_BEHIND) == [(0, 0)]

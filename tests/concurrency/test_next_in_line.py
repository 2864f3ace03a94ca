"""Only the request whose turn has come asks; it is told without a poll, and found by one where that is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest
import pytest_asyncio

from livingworld import NewScene, Scene, Story, Turn, World
from livingworld.story.turns.outcomes import Waiting
from livingworld.story.turns.records import BusyPolicy
from livingworld.story.turns.turn_queue import TurnQueue
from livingworld.testing.staged_races import connected, holding
from tests.support.patience import patiently
from tests.support.staging import same_world, stop
from tests.support.turn_checks import at_once, broken_turns, joined, merging, rows, until_found, until_tries_wait

HOUR: Final = timedelta(hours=1)
#: Nothing is found by polling.
TOLD: Final = {"poll_interval": HOUR, "turn_lease": 4 * HOUR}
#: No connection listens: what another process does is found by polling.
DEAF: Final = {"poll_interval": timedelta(seconds=0.05), "behind_pooler": True}


@pytest_asyncio.fixture
async def told(database_url: str, world: World) -> AsyncIterator[list[World]]:
    """Give the world in two processes that never poll."""
    async with same_world(database_url, world.id, pools=2, **TOLD) as worlds:
        yield worlds


def waiter(world: World, story: Story, key: str) -> asyncio.Task[Scene]:
    return asyncio.create_task(world.turns.play(story.id, at_once(key), request_key=key, busy="queue"))


async def until_in_line(url: str, *keys: str) -> None:
    for key in keys:
        await until_found(url, "SELECT FROM livingworld.turn_waiters WHERE request_key = $1", key)


def counted_asks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that grows by one with each ask for a turn."""
    asks: list[object] = []
    ask = TurnQueue._ask

    async def counted(self: TurnQueue, request: object) -> object:
        asks.append(request)
        return await ask(self, request)  # type: ignore[arg-type]

    monkeypatch.setattr(TurnQueue, "_ask", counted)
    return asks


@pytest.mark.parametrize("busy", ["queue", "merge"])
async def test_fifty_who_wait_ask_at_most_three_times_for_each_of_them(
    database_url: str, world: World, story: Story, monkeypatch: pytest.MonkeyPatch, busy: BusyPolicy
) -> None:
    asks = counted_asks(monkeypatch)
    everyone_is_there = asyncio.Event()

    async def tell(turn: Turn) -> NewScene:
        await everyone_is_there.wait()
        return NewScene(turn.request_key)

    combine = joined if busy == "merge" else None
    plays = [
        asyncio.create_task(
            world.turns.play(
                story.id, tell, request_key=f"{number}", instruction=f"{number}", busy=busy, combine=combine
            )
        )
        for number in range(50)
    ]
    merged = "SELECT FROM livingworld.turns WHERE state = 'merged' HAVING count(*) = 48"
    waiting = "SELECT FROM livingworld.turn_waiters HAVING count(*) = 49"
    await until_found(database_url, merged if busy == "merge" else waiting)
    everyone_is_there.set()
    await asyncio.gather(*plays)

    assert len(asks) <= 3 * 50
    assert await broken_turns(database_url, story.id) == []


@pytest.mark.parametrize("far", [0, 1])
async def test_the_next_is_told_of_a_commit_here_and_elsewhere(
    database_url: str, told: list[World], story: Story, far: int
) -> None:
    async with told[0].turns.take(story.id, request_key="ahead") as turn:
        waiting = waiter(told[far], story, "next")
        await until_in_line(database_url, "next")
        await turn.commit(NewScene("ahead"))
    async with patiently():
        assert (await waiting).number == 2


async def test_the_next_is_told_of_a_turn_that_is_given_up(database_url: str, told: list[World], story: Story) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with told[0].turns.take(story.id, request_key="ahead"):
            waiting = waiter(told[1], story, "next")
            await until_in_line(database_url, "next")
            raise ZeroDivisionError
    async with patiently():
        assert (await waiting).number == 1


async def test_when_the_next_leaves_at_the_moment_of_its_turn_the_one_behind_is_told(
    database_url: str, told: list[World], story: Story
) -> None:
    async with told[0].turns.take(story.id, request_key="ahead") as turn:
        leaving = waiter(told[0], story, "leaving")
        await until_in_line(database_url, "leaving")
        behind = waiter(told[1], story, "behind")
        await until_in_line(database_url, "behind")
        await turn.commit(NewScene("ahead"))
        leaving.cancel()  # it was woken, and has not asked
    async with patiently():
        assert (await behind).content == "behind"
    await stop([leaving])


async def test_who_follows_a_turn_is_told_of_its_end(database_url: str, told: list[World], story: Story) -> None:
    go_on = asyncio.Event()

    async def tell(turn: Turn) -> NewScene:
        await go_on.wait()
        return NewScene(f"{turn.context.instruction}")

    def send(world: World, key: str) -> asyncio.Task[Scene]:
        play = world.turns.play(story.id, tell, request_key=key, instruction=key, busy="merge", combine=joined)
        return asyncio.create_task(play)

    async with told[0].turns.take(story.id, request_key="ahead") as turn:
        leader = send(told[0], "leader")
        await until_in_line(database_url, "leader")
        merged = send(told[1], "merged")
        await until_found(database_url, "SELECT FROM livingworld.turns WHERE state = 'merged'")
        await turn.commit(NewScene("ahead"))
    await until_found(database_url, "SELECT FROM livingworld.turns WHERE state = 'running' AND request_key = 'leader'")
    again = [send(told[1], key) for key in ("leader", "merged")]
    await until_tries_wait(database_url, 1, unless=again)
    go_on.set()
    async with patiently():
        scenes = await asyncio.gather(leader, merged, *again)

    assert {(scene.number, scene.content) for scene in scenes} == {(2, "leader+merged")}


async def test_the_next_is_told_of_a_chosen_generation(database_url: str, told: list[World], story: Story) -> None:
    await told[0].turns.play(story.id, at_once("one"), request_key="one")
    async with told[0].turns.regenerate(story.id, request_key="regenerated") as turn:
        await turn.commit(NewScene("regenerated"))
    (old,) = [each for each in await told[0].generations.alternatives(story.id, 1) if not each.shown]
    async with told[0].turns.take(story.id, request_key="lost"):
        waiting = waiter(told[1], story, "next")
        await until_in_line(database_url, "next")
        await told[1].generations.choose(old.id)
        async with patiently():
            assert (await waiting).number == 2


async def test_a_lost_notification_is_made_up_for_by_polling(database_url: str, world: World, story: Story) -> None:
    async with same_world(database_url, world.id, pools=3, **DEAF) as worlds:
        async with world.turns.take(story.id, request_key="ahead") as turn:
            waiting = [waiter(each, story, f"{number}") for number, each in enumerate(worlds)]
            follower = asyncio.create_task(worlds[0].turns.play(story.id, at_once("no"), request_key="ahead"))
            await until_tries_wait(database_url, 4, unless=waiting)
            scene = await turn.commit(NewScene("ahead"))
        async with patiently():
            assert await follower == scene
            assert sorted([each.number for each in await asyncio.gather(*waiting)]) == [2, 3, 4]

    assert await broken_turns(database_url, story.id) == []


async def test_who_waits_is_refused_when_the_story_ends_and_keeps_its_place_until_then(
    database_url: str, world: World, story: Story
) -> None:
    async with same_world(database_url, world.id, pools=1, **DEAF) as (deaf,):
        async with world.turns.take(story.id, request_key="ahead") as turn:
            waiting = waiter(deaf, story, "next")
            await until_in_line(database_url, "next")
            await rows(database_url, "UPDATE livingworld.turn_waiters SET expires_at = now() + interval '1 ms'")
            kept = "SELECT FROM livingworld.turn_waiters WHERE expires_at > now() + interval '0.5 seconds'"
            await until_found(database_url, kept)
            await turn.commit(NewScene("ahead"))
            async with patiently():
                assert (await waiting).number == 2
        async with world.turns.take(story.id, request_key="last"):
            refused = waiter(deaf, story, "refused")
            await until_in_line(database_url, "refused")
            await world.stories.archive(story.id)
            async with patiently():
                await asyncio.wait([refused])

    assert type(refused.exception()).__name__ == "Archived"


async def test_nobody_is_the_next_while_a_turn_is_held(database_url: str, world: World, story: Story) -> None:
    following = "SELECT livingworld.next_in_line_v1($1, $2, 1, now())"
    async with connected(database_url) as observer:
        async with world.turns.take(story.id, request_key="ahead") as turn:
            assert isinstance(await world.turns._queue._ask(replace(merging(story.id, "k"), busy="queue")), Waiting)
            assert await observer.fetchval(following, world.id, story.id) is None
            await turn.commit(NewScene("ahead"))
        assert await observer.fetchval(following, world.id, story.id) == "k"


async def test_who_was_not_looked_after_in_time_is_passed_by(database_url: str, world: World, story: Story) -> None:
    async with connected(database_url) as observer:
        async with world.turns.take(story.id, request_key="ahead") as turn:
            for key in ("gone", "there"):
                request = replace(merging(story.id, key), busy="queue")
                assert isinstance(await world.turns._queue._ask(request), Waiting)
            await observer.execute("UPDATE livingworld.turn_waiters SET expires_at = now() WHERE request_key = 'gone'")
            await turn.commit(NewScene("ahead"))
        following = "SELECT livingworld.next_in_line_v1($1, $2, 1, now())"
        assert await observer.fetchval(following, world.id, story.id) == "there"


async def test_a_look_after_those_who_wait_passes_by_a_place_that_is_held(
    database_url: str, world: World, story: Story
) -> None:
    look = (
        "SELECT livingworld.called_turns_v1($1, '1 day', ARRAY[$2::uuid], '{1}', '{k}', $3, '{1}', '{NULL}', '{NULL}')"
    )
    async with world.turns.take(story.id, request_key="ahead"), connected(database_url) as looking:
        request = replace(merging(story.id, "k"), busy="queue")
        assert isinstance(await world.turns._queue._ask(request), Waiting)
        await looking.execute("SET lock_timeout = '10ms'")  # what waits fails
        async with holding(database_url, "SELECT FROM livingworld.turn_waiters FOR UPDATE", []):
            assert await looking.fetch(look, world.id, story.id, [request.owner]) == []

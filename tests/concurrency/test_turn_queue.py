"""The queue of a branch: order of arrival across processes; who leaves or dies holds nobody up."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from livingworld import NewScene, Scene, Story, Turn, TurnInput, World
from livingworld.errors import Busy, InvalidInput, TurnTimeout
from livingworld.story.turns.outcomes import Mergeable, Waiting
from livingworld.story.turns.turn_queue import Grant
from livingworld.testing.staged_races import connected
from tests.concurrency.turn_players import player
from tests.support.patience import NEVER, patiently
from tests.support.staging import kinds, same_world
from tests.support.story_checks import broken_promises, read_path
from tests.support.turn_checks import at_once, broken_turns, merging, rows, until_found

WAITING = "SELECT FROM livingworld.turn_waiters WHERE request_key = $1"
#: Who waits is told of every end, and is not thought to be gone before it is silent for a minute: twelve looks.
PATIENT = {"poll_interval": timedelta(seconds=5)}
#: No poll comes within the test: what wakes a waiter is a notification.
UNPOLLED = {"poll_interval": NEVER / 4, "turn_lease": NEVER}
GONE = "UPDATE livingworld.turn_waiters SET expires_at = now() - interval '1 second' WHERE request_key = ANY ($1)"


async def until_waiting(url: str, count: int) -> list[str]:
    """Wait until so many wait; return their request keys in the order of arrival."""
    async with patiently(), connected(url) as connection:
        while True:
            found = await connection.fetch("SELECT request_key FROM livingworld.turn_waiters ORDER BY ticket")
            if len(found) >= count:
                return [row["request_key"] for row in found]


async def test_twenty_waiters_of_whom_five_die_come_in_the_order_of_arrival(
    database_url: str, world: World, story: Story
) -> None:
    async with AsyncExitStack() as stack:
        players = [await stack.enter_async_context(player(database_url, world, story)) for _ in range(4)]
        async with world.turns.take(story.id, request_key="the one ahead") as turn:
            for number in range(20):
                assert await players[number % 4].do(f"play waiter-{number} queue") == f"waiting waiter-{number}"
                await until_waiting(database_url, number + 1)
            arrived = await until_waiting(database_url, 20)
            await players[1].kill()
            await rows(database_url, GONE, [f"waiter-{number}" for number in range(20) if number % 4 == 1])
            await turn.commit(NewScene("the one ahead"))
        living = [number for number in range(20) if number % 4 != 1]
        for number in living:
            assert await players[number % 4].hear() == f"told waiter-{number} {living.index(number) + 2}"

    assert arrived == [f"waiter-{number}" for number in range(20)]
    told = [(await world.stories.scene(story.id, number)).content for number in range(2, 17)]
    assert told == [f"waiter-{number}" for number in living]
    assert await broken_turns(database_url, story.id) == []
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_a_waiter_whose_time_is_up_or_who_is_cancelled_leaves_the_queue(
    database_url: str, world: World, story: Story
) -> None:
    async with world.turns.take(story.id, request_key="ahead") as turn:
        with pytest.raises(TurnTimeout):
            await world.turns.play(
                story.id, at_once("no"), request_key="short", busy="queue", time_limit=timedelta(seconds=0.1)
            )
        cancelled = asyncio.create_task(world.turns.play(story.id, at_once("no"), request_key="gone", busy="queue"))
        await until_found(database_url, WAITING, "gone")
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        last = asyncio.create_task(world.turns.play(story.id, at_once("last"), request_key="last", busy="queue"))
        await until_found(database_url, WAITING, "last")
        async with patiently():  # the cancelled call leaves in the background
            while await until_waiting(database_url, 1) != ["last"]:
                pass
        await turn.commit(NewScene("ahead"))
        async with patiently():
            assert (await last).number == 2

    assert await rows(database_url, "SELECT * FROM livingworld.turn_waiters") == []
    assert await broken_turns(database_url, story.id) == []


async def test_who_comes_while_others_wait_does_not_overtake_them(
    database_url: str, world: World, story: Story
) -> None:
    order: list[str] = []

    async def note(turn: Turn) -> NewScene:
        order.append(turn.request_key)
        return NewScene(turn.request_key)

    async with same_world(database_url, world.id, pools=3, **PATIENT) as worlds:
        async with world.turns.take(story.id, request_key="ahead") as turn:
            waiters = []
            for number in range(9):
                play = worlds[number % 3].turns.play(story.id, note, request_key=f"{number}", busy="queue")
                waiters.append(asyncio.create_task(play))
                await until_waiting(database_url, number + 1)
            await turn.commit(NewScene("ahead"))
        scenes = await asyncio.gather(*waiters)

    assert order == [f"{number}" for number in range(9)]
    assert [scene.number for scene in scenes] == list(range(2, 11))
    assert await read_path(world, story.id, 1) == list(range(1, 11))


async def test_who_comes_while_the_branch_is_free_and_others_wait_does_not_overtake_them(
    world: World, story: Story
) -> None:
    first, second = (replace(merging(story.id, key), busy="queue") for key in ("first", "second"))
    queue = world.turns._queue
    async with world.turns.take(story.id, request_key="ahead") as turn:
        assert isinstance(await queue._ask(first), Waiting)
        await turn.commit(NewScene("ahead"))

    assert isinstance(await queue._ask(second), Waiting)
    with pytest.raises(Busy):
        await world.turns.play(story.id, at_once("no"), request_key="third")
    assert isinstance(await queue._ask(first), Grant)


async def test_each_request_that_is_refused_in_the_line_wakes_the_next_one(
    database_url: str, world: World, story: Story
) -> None:
    async with same_world(database_url, world.id, pools=2, **UNPOLLED) as worlds:
        async with worlds[0].turns.take(story.id, request_key="ahead") as turn:
            plays = []
            for number, expected_head in enumerate((0, 0, 0, None)):
                play = worlds[number % 2].turns.play(
                    story.id,
                    at_once(f"{number}"),
                    request_key=f"{number}",
                    expected_head=expected_head,
                    busy="queue",
                    time_limit=NEVER,
                )
                plays.append(asyncio.create_task(play))
                await until_waiting(database_url, number + 1)
            await turn.commit(NewScene("ahead"))
        async with patiently():
            *refused, told = await asyncio.gather(*plays, return_exceptions=True)

    assert kinds(refused) == ["StaleHead"] * 3
    assert isinstance(told, Scene)
    assert (told.number, told.content) == (2, "3")
    assert await broken_turns(database_url, story.id) == []


async def test_a_key_that_waits_in_two_processes_is_answered_in_both_when_one_of_them_has_its_scene(
    database_url: str, world: World, story: Story
) -> None:
    async with same_world(database_url, world.id, pools=2, **UNPOLLED) as worlds:
        async with worlds[0].turns.take(story.id, request_key="ahead") as turn:
            clicks = []
            for number, each in enumerate(worlds):
                click = each.turns.play(story.id, at_once("twice"), request_key="twice", busy="queue", time_limit=NEVER)
                clicks.append(asyncio.create_task(click))
                await until_waiting(database_url, number + 1)
            await turn.commit(NewScene("ahead"))
        async with patiently():
            scenes = await asyncio.gather(*clicks)

    assert [scene.number for scene in scenes] == [2, 2]
    assert await broken_turns(database_url, story.id) == []


async def test_two_inputs_that_wait_become_one_turn_and_both_get_its_scene(
    database_url: str, world: World, story: Story
) -> None:
    def both(waiting: TurnInput, new: TurnInput) -> TurnInput:
        return TurnInput(None, f"{waiting.instruction}, then {new.instruction}")

    async def tell(turn: Turn) -> NewScene:
        return NewScene(f"{turn.context.instruction}")

    async with same_world(database_url, world.id, pools=2, **PATIENT) as worlds:
        async with world.turns.take(story.id, request_key="ahead") as turn:
            plays = []
            for number, instruction in enumerate(("open the door", "run")):
                play = worlds[number].turns.play(
                    story.id, tell, request_key=instruction, instruction=instruction, busy="merge", combine=both
                )
                plays.append(asyncio.create_task(play))
                if number == 0:
                    await until_waiting(database_url, 1)
            await until_found(database_url, "SELECT FROM livingworld.turns WHERE state = 'merged'")
            await turn.commit(NewScene("ahead"))
        scenes = await asyncio.gather(*plays)
        again = await worlds[0].turns.play(
            story.id, tell, request_key="run", instruction="run", busy="merge", combine=both
        )

    assert [scene.content for scene in scenes] == ["open the door, then run"] * 2
    assert {scene.number for scene in (*scenes, again)} == {2}
    assert await broken_turns(database_url, story.id) == []


async def test_when_the_turn_that_took_an_input_in_fails_the_input_gets_a_turn_of_its_own(
    database_url: str, world: World, story: Story
) -> None:
    def both(waiting: TurnInput, new: TurnInput) -> TurnInput:
        return TurnInput(None, f"{waiting.instruction}+{new.instruction}")

    async def fail(_: Turn) -> NewScene:
        raise ZeroDivisionError

    async def tell(turn: Turn) -> NewScene:
        return NewScene(f"{turn.context.instruction}")

    async with same_world(database_url, world.id, pools=2, **PATIENT) as worlds:
        async with world.turns.take(story.id, request_key="ahead") as turn:
            leader = asyncio.create_task(
                worlds[0].turns.play(story.id, fail, request_key="a", instruction="a", busy="merge", combine=both)
            )
            await until_waiting(database_url, 1)
            follower = asyncio.create_task(
                worlds[1].turns.play(story.id, tell, request_key="b", instruction="b", busy="merge", combine=both)
            )
            await until_found(database_url, "SELECT FROM livingworld.turns WHERE state = 'merged'")
            await turn.commit(NewScene("ahead"))
        failed, told = await asyncio.gather(leader, follower, return_exceptions=True)

    assert isinstance(failed, ZeroDivisionError)
    assert isinstance(told, Scene)
    assert (told.number, told.content) == (2, "b")
    assert await broken_turns(database_url, story.id) == []


async def test_merging_needs_a_function_and_only_merging_does(world: World, story: Story) -> None:
    with pytest.raises(InvalidInput, match="combine"):
        await world.turns.play(story.id, at_once("no"), request_key="k", busy="merge")
    with pytest.raises(InvalidInput, match="combine"):
        await world.turns.play(story.id, at_once("no"), request_key="k", combine=lambda waiting, _: waiting)
    with pytest.raises(InvalidInput, match="busy"):
        await world.turns.play(story.id, at_once("no"), request_key="k", busy="push")  # type: ignore[arg-type]


async def test_two_that_saw_the_same_waiting_input_do_not_overwrite_each_other(
    database_url: str, world: World, story: Story
) -> None:
    def both(waiting: TurnInput, new: TurnInput) -> TurnInput:
        return TurnInput(None, f"{waiting.instruction}+{new.instruction}")

    async def tell(turn: Turn) -> NewScene:
        return NewScene(f"{turn.context.instruction}")

    async with world.turns.take(story.id, request_key="ahead") as turn:
        play = world.turns.play(story.id, tell, request_key="a", instruction="a", busy="merge", combine=both)
        waiting = asyncio.create_task(play)
        await until_waiting(database_url, 1)
        requests = [merging(story.id, "b"), merging(story.id, "c")]
        seen = [await world.turns._queue._ask(request) for request in requests]
        for request, leader in zip(requests, seen, strict=True):
            assert isinstance(leader, Mergeable)
            await world.turns._queue._merge(request, leader, both)
        again = await world.turns._queue._ask(requests[1])
        assert isinstance(again, Mergeable)
        assert (again.input.instruction, again.merges) == ("a+b", 1)
        await world.turns._queue._merge(requests[1], again, both)
        await turn.commit(NewScene("ahead"))

    assert (await waiting).content == "a+b+c"

"""One request key is one request: whatever it meets, whatever `busy` says, it waits for its turn and gets its scene."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from livingworld import NewScene, Scene, Story, Turn, World
from livingworld.errors import Busy, Fenced, RequestKeyReused, TurnTimeout
from tests.concurrency.turn_players import expire, player
from tests.support.staging import kinds, same_world, stop
from tests.support.story_checks import broken_promises, read_path
from tests.support.turn_checks import (
    POLICIES,
    at_once,
    broken_turns,
    options_of,
    rows,
    until_found,
    until_tries_wait,
)

SOON = {"poll_interval": timedelta(seconds=0.05)}


def when_told(go_on: asyncio.Event, asked: list[str]) -> Callable[[Turn], Awaitable[NewScene]]:
    """Return a model that notes its request and answers with its instruction once it is told to."""

    async def write(turn: Turn) -> NewScene:
        asked.append(turn.context.instruction or turn.request_key)
        await go_on.wait()
        return NewScene(asked[-1])

    return write


async def refused(_: Turn) -> NewScene:
    raise ZeroDivisionError


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("pools", [1, 4])
@pytest.mark.parametrize("busy", POLICIES)
async def test_fifty_equal_request_keys_are_one_scene_and_fifty_equal_answers(
    database_url: str, world: World, story: Story, busy: str, pools: int
) -> None:
    go_on, asked = asyncio.Event(), list[str]()
    async with same_world(database_url, world.id, pools=pools) as worlds:
        clicks = [
            asyncio.create_task(
                worlds[number % pools].turns.play(
                    story.id,
                    when_told(go_on, asked),
                    request_key="same",
                    instruction="ask her name",
                    **options_of(busy),
                )
            )
            for number in range(50)
        ]
        await until_tries_wait(database_url, 49, unless=clicks)
        go_on.set()
        results = await asyncio.gather(*clicks, return_exceptions=True)

    assert kinds(results) == ["Scene"] * 50
    assert results == [await world.stories.scene(story.id, 1)] * 50
    assert asked == ["ask her name"]
    assert await read_path(world, story.id, 1) == [1]
    assert await broken_turns(database_url, story.id) == []


@pytest.mark.rotates(parts=3)
@pytest.mark.parametrize("order", ["AB", "BA", "BAB", "ABC", "BAC", "BCB", "BCBC", "ABBA", "BCDBCDA"])
async def test_an_input_that_is_delivered_twice_is_told_once_and_costs_no_other_one_its_place(
    database_url: str, world: World, story: Story, order: str
) -> None:
    go_on, asked = asyncio.Event(), list[str]()

    async def send(key: str) -> Scene:
        options = {"instruction": key, **options_of("merge")}
        return await world.turns.play(story.id, when_told(go_on, asked), request_key=key, **options)

    first = asyncio.create_task(send("A"))
    await until_found(database_url, "SELECT FROM livingworld.turns WHERE state = 'running'")
    sent = [("A", first)]
    for key in order:
        sent.append((key, asyncio.create_task(send(key))))
        known = "SELECT FROM livingworld.turns WHERE request_key = $1 AND state = 'merged'"
        waits = "SELECT FROM livingworld.turn_waiters WHERE request_key = $1"
        await until_found(database_url, f"{known} UNION ALL {waits}", key)
    go_on.set()
    answers = [(key, await task) for key, task in sent]

    for key, scene in answers:
        assert scene.content.split("+").count(key) == 1, (key, scene.content)
    told = {scene.number: scene.content for _, scene in answers}
    assert asked == [told[number] for number in await read_path(world, story.id, 1)]
    assert sorted("+".join(asked).split("+")) == sorted({key for key, _ in sent})
    assert await broken_turns(database_url, story.id) == []


@pytest.mark.rotates(parts=2)
@pytest.mark.parametrize("busy", POLICIES)
async def test_when_the_holder_dies_one_of_those_who_wait_with_its_key_takes_over_in_its_place(
    database_url: str, world: World, story: Story, busy: str
) -> None:
    asked: list[str] = []

    async def write(turn: Turn) -> NewScene:
        asked.append(turn.request_key)
        return NewScene(turn.request_key)

    async with (
        player(database_url, world, story) as dying,
        same_world(database_url, world.id, pools=3, **SOON) as worlds,
    ):
        assert await dying.do("take key reject") == "taken key"
        tries = [
            asyncio.create_task(each.turns.play(story.id, write, request_key="key", **options_of(busy)))
            for each in worlds
        ]
        await until_tries_wait(database_url, 3, unless=tries)
        later = asyncio.create_task(worlds[0].turns.play(story.id, write, request_key="later", busy="queue"))
        await until_tries_wait(database_url, 4, unless=tries)
        await dying.kill()
        await expire(database_url)
        scenes = await asyncio.gather(*tries, later)

    assert asked == ["key", "later"]
    assert [scene.content for scene in scenes] == ["key", "key", "key", "later"]
    assert await broken_promises(database_url, world.id, story.id) == []
    assert await broken_turns(database_url, story.id) == []


@pytest.mark.parametrize("busy", POLICIES)
async def test_when_the_turn_is_given_up_one_of_those_who_wait_with_its_key_takes_it_over(
    database_url: str, world: World, story: Story, busy: str
) -> None:
    asked: list[str] = []
    with pytest.raises(ZeroDivisionError):
        async with world.turns.take(story.id, request_key="key") as turn:
            write = when_told(done := asyncio.Event(), asked)
            done.set()
            tries = [
                asyncio.create_task(world.turns.play(story.id, write, request_key="key", **options_of(busy)))
                for _ in range(3)
            ]
            await until_tries_wait(database_url, 3, unless=tries)
            await refused(turn)

    assert {scene.content for scene in await asyncio.gather(*tries)} == {"key"}
    assert asked == ["key"]
    assert await read_path(world, story.id, 1) == [1]
    assert await broken_turns(database_url, story.id) == []


async def test_who_waits_with_a_key_and_leaves_takes_nothing_from_the_others(
    database_url: str, world: World, story: Story
) -> None:
    async with world.turns.take(story.id, request_key="key") as turn:
        impatient = world.turns.play(story.id, at_once("no"), request_key="key", time_limit=timedelta(seconds=0.2))
        cancelled, stays = (
            asyncio.create_task(world.turns.play(story.id, at_once("no"), request_key="key")) for _ in range(2)
        )
        with pytest.raises(TurnTimeout):
            await impatient
        await until_tries_wait(database_url, 2, unless=[stays])
        await stop([cancelled])
        await until_found(database_url, "SELECT FROM livingworld.turn_waiters HAVING count(*) = 1")
        scene = await turn.commit(NewScene("told"))

    assert (await stays) == scene
    assert await rows(database_url, "SELECT * FROM livingworld.turn_waiters") == []
    assert await broken_turns(database_url, story.id) == []


@pytest.mark.parametrize("busy", POLICIES)
async def test_a_key_that_waits_has_one_place_whoever_of_its_callers_leaves(
    database_url: str, world: World, story: Story, busy: str
) -> None:
    async def send(key: str, busy: str) -> Scene:
        return await world.turns.play(
            story.id, at_once_instructed, request_key=key, instruction=key, **options_of(busy)
        )

    async with world.turns.take(story.id, request_key="ahead") as turn:
        first = asyncio.create_task(send("key", "merge"))
        await until_tries_wait(database_url, 1, unless=[first])
        merged = asyncio.create_task(send("merged", "merge"))
        await until_found(database_url, "SELECT FROM livingworld.turns WHERE state = 'merged'")
        later = asyncio.create_task(send("later", "queue"))
        await until_tries_wait(database_url, 2, unless=[later])
        second = asyncio.create_task(send("key", busy))
        await until_tries_wait(database_url, 3, unless=[second])
        await stop([first])
        await until_tries_wait(database_url, 2, unless=[second], at_most=True)
        await turn.commit(NewScene("ahead"))
    told = await asyncio.gather(second, merged, later)

    assert [(scene.number, scene.content) for scene in told] == [(2, "key+merged"), (2, "key+merged"), (3, "later")]
    assert await broken_turns(database_url, story.id) == []


async def at_once_instructed(turn: Turn) -> NewScene:
    return NewScene(f"{turn.context.instruction}")


async def test_reject_refuses_other_keys_only(world: World, story: Story) -> None:
    async with world.turns.take(story.id, request_key="key") as turn:
        again = asyncio.create_task(world.turns.play(story.id, at_once("no"), request_key="key"))
        with pytest.raises(Busy):
            await world.turns.play(story.id, at_once("no"), request_key="another")
        await turn.commit(NewScene("told"))

    assert (await again).content == "told"


async def test_all_who_sent_a_turn_that_is_replaced_are_told_so_and_a_later_try_is_another_one(
    database_url: str, world: World, story: Story
) -> None:
    with pytest.raises(Fenced):
        async with world.turns.take(story.id, request_key="key") as turn:
            again = asyncio.create_task(world.turns.play(story.id, at_once("no"), request_key="key"))
            await until_tries_wait(database_url, 1, unless=[again])
            await world.turns.play(story.id, at_once("replacement"), request_key="other", busy="replace")
            await turn.commit(NewScene("no"))
    with pytest.raises(Fenced):
        await again

    assert (await world.turns.play(story.id, at_once("a later try"), request_key="key")).number == 2
    assert await broken_turns(database_url, story.id) == []


async def test_a_key_that_waits_with_other_arguments_is_refused(database_url: str, world: World, story: Story) -> None:
    async with world.turns.take(story.id, request_key="ahead") as turn:
        waits = asyncio.create_task(
            world.turns.play(story.id, at_once("told"), request_key="key", instruction="left", busy="queue")
        )
        await until_tries_wait(database_url, 1, unless=[waits])
        with pytest.raises(RequestKeyReused):
            await world.turns.play(story.id, at_once("no"), request_key="key", instruction="right", busy="queue")
        await turn.commit(NewScene("ahead"))

    assert (await waits).content == "told"


@pytest.mark.parametrize("state", ["runs", "waits", "merged"])
async def test_a_key_is_found_where_it_is_also_when_another_branch_became_the_current_one(
    database_url: str, world: World, story: Story, state: str
) -> None:
    await world.stories.append_scene(story.id, NewScene("one"))
    other = await world.branches.fork(story.id, "other")
    go_on, asked = asyncio.Event(), list[str]()

    async def send(key: str) -> Scene:
        options = {"instruction": key, **options_of("merge")}
        return await world.turns.play(story.id, when_told(go_on, asked), request_key=key, **options)

    sent = {key: asyncio.create_task(send(key)) for key in ["ahead"]}
    await until_found(database_url, "SELECT FROM livingworld.turns WHERE state = 'running'")
    if state != "runs":
        sent["leader"] = asyncio.create_task(send("leader"))
        await until_tries_wait(database_url, 1, unless=sent.values())
    if state == "merged":
        sent["merged"] = asyncio.create_task(send("merged"))
        await until_found(database_url, "SELECT FROM livingworld.turns WHERE state = 'merged'")
    await world.branches.switch(story.id, other.number)
    key = {"runs": "ahead", "waits": "leader", "merged": "merged"}[state]
    tries = [asyncio.create_task(send(key)) for _ in range(2)]
    await until_tries_wait(database_url, 0 if state == "merged" else 2, unless=tries)
    go_on.set()

    assert [await each for each in tries] == [await sent[key]] * 2
    await asyncio.gather(*sent.values())
    assert sorted("+".join(asked).split("+")) == sorted(sent)
    assert (await world.stories.head(story.id)).branch.head == 1
    assert await broken_turns(database_url, story.id) == []


async def test_a_scene_told_anew_twice_under_one_key_is_told_anew_once(
    database_url: str, world: World, story: Story
) -> None:
    await world.turns.play(story.id, at_once("one"), request_key="one")

    async def regenerate() -> Scene:
        async with world.turns.regenerate(story.id, request_key="regenerated") as turn:
            if turn.scene is None:
                await until_tries_wait(database_url, 1, unless=[])
                await turn.commit(NewScene("regenerated"))
            assert turn.scene
            return turn.scene

    told = await asyncio.gather(regenerate(), regenerate())

    assert {(scene.number, scene.content) for scene in told} == {(1, "regenerated")}
    assert len(await world.generations.alternatives(story.id, 1)) == 2
    assert await broken_turns(database_url, story.id) == []

"""Race: a person is erased while she plays, while others play beside her, and the erasure is interrupted."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final, cast

import pytest

from livingworld import NewScene, Scene, Story, World
from livingworld.errors import DatabaseFailure, Fenced, TurnNotFound
from livingworld.testing.staged_races import connected, holding
from tests.concurrency.test_writes_behind_a_purge import GATE, THE_GATE
from tests.support.a_person import WORD, columns_with_the_word, leave_words, wish
from tests.support.patience import patiently
from tests.support.staging import THE_STORY, deadlocks
from tests.support.turn_checks import at_once, broken_turns, joined, options_of, rows, until_found

_INPUTS: Final = "SELECT player, instruction, state FROM livingworld.turns WHERE player = 'tom'"
_FAIL: Final = """
    CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
    CREATE TRIGGER fail BEFORE DELETE ON livingworld.sessions EXECUTE FUNCTION public.fail();
"""


async def test_a_turn_that_commits_beside_the_erasure_is_erased_or_refused(
    database_url: str, world: World, story: Story
) -> None:
    with suppress(Fenced, TurnNotFound):
        async with world.turns.take(story.id, request_key=WORD, player=WORD, instruction=WORD) as turn:
            async with holding(database_url, THE_STORY, (world.id, story.id)) as story_lock:
                commit = asyncio.create_task(turn.commit(NewScene(WORD, raw_response=WORD)))
                await story_lock.until_blocked()
                erasure = asyncio.create_task(world.erase(player=WORD, scenes="blank"))
            (ended,) = await asyncio.gather(commit, return_exceptions=True)
            await erasure
            stored = (await world.stories.head(story.id)).scene is not None
            assert stored is isinstance(ended, Scene)

    await world.search.index()
    assert await columns_with_the_word(database_url) == set()
    assert await broken_turns(database_url, story.id) == []
    assert await deadlocks(database_url) == 0


async def test_what_a_model_says_after_the_erasure_is_not_stored(database_url: str, world: World, story: Story) -> None:
    with pytest.raises(TurnNotFound):
        async with (
            world.turns.take(story.id, request_key="k", player=WORD, instruction=WORD) as turn,
            turn.call("planner", prompt={"a": WORD}) as call,
        ):
            await world.erase(player=WORD)
            async with patiently():
                await turn.lost.wait()
            with pytest.raises(TurnNotFound):
                await turn.record(WORD)
            call.answer(WORD)

    assert await columns_with_the_word(database_url) == set()
    assert await broken_turns(database_url, story.id) == []


async def test_an_erasure_that_was_interrupted_is_completed_by_the_next(
    database_url: str, world: World, story: Story
) -> None:
    await leave_words(database_url, world, story)
    async with connected(database_url) as connection:
        await connection.execute(_FAIL)
        with pytest.raises(DatabaseFailure):
            await world.erase(player=WORD, scenes="blank")
        assert ("sessions", "player") in await columns_with_the_word(database_url)
        await connection.execute("DROP TRIGGER fail ON livingworld.sessions")

    await world.erase(player=WORD, scenes="blank")

    await world.search.index()
    assert await columns_with_the_word(database_url) == set()


async def test_others_write_while_a_person_is_erased(database_url: str, world: World, story: Story) -> None:
    session = await world.sessions.open(player=WORD)
    async with world.turns.take(story.id, request_key="k", player=WORD) as turn:
        await turn.commit(NewScene("One."))
    async with connected(database_url) as connection:
        await connection.execute(GATE.format(moment="BEFORE DELETE ON livingworld.sessions"))

    async with holding(database_url, THE_GATE) as gate:
        erasing = asyncio.create_task(world.erase(player=WORD))
        await gate.until_blocked()
        scene = await world.stories.append_scene(story.id, NewScene("Two."))
        other = await world.sessions.open(player="tom")
        await world.presence.join("tom", story=story.id)

    assert (await erasing).rows["sessions"] == 1
    assert scene.number == 2
    assert [each.id for each in (await world.sessions.list()).items] == [other.id] != [session.id]


async def test_a_running_turn_with_an_input_of_hers_ends(database_url: str, world: World, story: Story) -> None:
    his, hers = wish(story, "toms", "tom", "merge"), wish(story, "hers", WORD, "merge")
    async with world.turns.take(story.id, request_key="ahead") as turn:
        await world.turns._queue._ask(his)
        await world.turns._queue._merge(hers, cast("Any", await world.turns._queue._ask(hers)), joined)
        await turn.commit(NewScene("One."))
    await world.turns._queue._ask(his)
    assert await rows(database_url, _INPUTS) == [("tom", f"tom+{WORD}", "running")]

    await world.erase(player=WORD)

    assert await rows(database_url, _INPUTS) == [("tom", "tom", "replaced")]
    assert await columns_with_the_word(database_url) == set()
    assert await broken_turns(database_url, story.id) == []


async def test_a_stored_turn_with_an_input_of_hers_keeps_its_own(database_url: str, world: World, story: Story) -> None:
    async def play(player: str) -> Scene:
        options = {"request_key": player, "player": player, "instruction": player, **options_of("merge")}
        return await world.turns.play(story.id, at_once("Two."), **options)

    async with world.turns.take(story.id, request_key="ahead") as turn:
        playing = [asyncio.create_task(play("tom"))]
        await until_found(database_url, "SELECT FROM livingworld.turn_waiters")
        playing.append(asyncio.create_task(play(WORD)))
        await until_found(database_url, "SELECT FROM livingworld.turns WHERE state = 'merged'")
        await turn.commit(NewScene("One."))
    first, second = await asyncio.gather(*playing)
    assert first == second

    await world.erase(player=WORD)

    assert await rows(database_url, _INPUTS) == [("tom", "tom", "committed")]
    assert await columns_with_the_word(database_url) == set()
    assert await world.turns.play(story.id, at_once("x"), request_key="tom", player="tom", instruction="tom") == first

"""Every call of a model in a turn is kept, in one tree, and the tokens are summed by one query."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from livingworld import NewScene, Story, Turn, World
from livingworld.errors import TurnNotFound
from livingworld.story.turns.turn_call import CallOptions
from livingworld.story.turns.turn_records import UsagePart
from tests.support.played_turns import play
from tests.support.turn_checks import at_once

WAITS = "SELECT FROM livingworld.turn_waiters WHERE request_key = $1"
MERGED = "SELECT FROM livingworld.turns WHERE state = 'merged' HAVING count(*) = $1"


async def ask_models(turn: Turn) -> None:
    prompt = {"z": "first", "a": "then"}
    plan: CallOptions = {"model": "small", "script_version": "plan@1", "parameters": {"top": 1}, "prompt": prompt}
    async with turn.call("planner", **plan) as call:
        async with call.call("retrieval") as lookup:
            lookup.answer("found", input_tokens=3)
        call.answer("planned", input_tokens=5, output_tokens=2)
    async with turn.call("critic"):
        pass


async def test_every_call_of_a_model_is_kept_in_one_tree(world: World, story: Story) -> None:
    async with world.turns.take(story.id, request_key="one") as turn:
        await ask_models(turn)
        await turn.commit(NewScene("x"))

    tree = await world.turns.tree(story.id, "one")
    (attempt,) = tree.attempts
    planner, critic = attempt.calls
    assert (planner.name, critic.name) == ("planner", "critic")
    assert (planner.model, planner.script_version, planner.parameters) == ("small", "plan@1", {"top": 1})
    assert list(planner.prompt.items()) == [("z", "first"), ("a", "then")]
    assert (planner.answer, planner.input_tokens, planner.output_tokens) == ("planned", 5, 2)
    assert [(call.name, call.answer) for call in planner.calls] == [("retrieval", "found")]
    assert (critic.answer, critic.error, critic.calls) == (None, None, ())
    assert (tree.turn.input_tokens, tree.turn.output_tokens) == (8, 2)


async def test_the_tree_has_each_attempt_the_one_that_runs_too(world: World, story: Story) -> None:
    with pytest.raises(ZeroDivisionError):
        async with world.turns.take(story.id, request_key="one") as turn, turn.call("planner"):
            raise ZeroDivisionError
    async with world.turns.take(story.id, request_key="one") as turn:
        await ask_models(turn)
        running = await world.turns.tree(story.id, "one")
        await turn.commit(NewScene("x"))
    over = await world.turns.tree(story.id, "one")

    assert [(attempt.number, len(attempt.calls)) for attempt in running.attempts] == [(1, 1), (2, 2)]
    assert [attempt.generation is None for attempt in running.attempts] == [False, True]
    assert [attempt.generation is None for attempt in over.attempts] == [False, False]
    assert [call.error for call in over.attempts[0].calls] == ["ZeroDivisionError: "]


async def test_calls_side_by_side_and_of_a_lost_turn_are_kept(world: World, story: Story) -> None:
    async with world.turns.take(story.id, request_key="one", player="ada") as turn:

        async def ask(name: str) -> None:
            async with turn.call(name) as call:
                call.answer(name)

        await asyncio.gather(*(ask(f"{number}") for number in range(5)))
        await world.turns.play(story.id, at_once("x"), request_key="two", player="ada", replace_own=True)
        await ask("late")

    tree = await world.turns.tree(story.id, "one")
    (attempt,) = tree.attempts
    assert tree.turn.state == "replaced"
    assert sorted(call.name for call in attempt.calls) == ["0", "1", "2", "3", "4", "late"]


async def test_a_call_in_a_story_that_is_purged_says_that_its_turn_is_gone(world: World, story: Story) -> None:
    with pytest.raises(TurnNotFound):
        async with world.turns.take(story.id, request_key="one") as turn, turn.call("planner"):
            await world.stories.purge(story.id)


async def sums(world: World, *by: UsagePart, **of: Any) -> set[tuple[object, ...]]:  # noqa: ANN401
    """Return the sums by their parts, and fail where the largest does not come first."""
    found = await world.turns.usage(by, **of)
    totals = [each.input_tokens + each.output_tokens for each in found]
    assert totals == sorted(totals, reverse=True)
    names = {"turn": "request_key", "story": "story_id", "script": "script_version"}
    columns = [names.get(part, part) for part in by]
    return {(*(getattr(each, name) for name in columns), each.calls, each.input_tokens) for each in found}


async def test_the_sums_of_tokens_by_each_part_are_one_query(world: World, story: Story) -> None:
    other = await world.stories.create("Another")
    await play(world, story, "one", "ada", tokens=10)
    await play(world, story, "two", "bob", tokens=20)
    async with world.turns.take(other.id, request_key="one", player="ada") as turn:
        async with turn.call("planner", model="small", script_version="plan@1") as call:
            call.answer("x", input_tokens=5)
        await turn.commit(NewScene("x"))

    assert await sums(world) == {(4, 35)}
    assert await sums(world, "player") == {("ada", 3, 15), ("bob", 1, 20)}
    assert await sums(world, "model") == {("tide-7b", 2, 30), ("small", 1, 5), (None, 1, 0)}
    assert await sums(world, "script") == {("tale@2", 2, 30), ("plan@1", 1, 5), (None, 1, 0)}
    assert await sums(world, "story") == {(story.id, 2, 30), (other.id, 2, 5)}
    assert await sums(world, "turn", story_id=story.id) == {("one", 1, 10), ("two", 1, 20)}
    by_ada = {(story.id, "ada", 1, 10), (other.id, "ada", 2, 5)}
    assert await sums(world, "story", "player", player="ada") == by_ada
    assert await sums(world, "player", story_id=story.id, player="ada") == {("ada", 1, 10)}
    assert await sums(world, story_id=other.id, request_key="one", model="small") == {(1, 5)}
    assert await sums(world, script_version="tale@2") == {(2, 30)}
    assert await sums(world, since=datetime.now(UTC) + timedelta(days=1)) == set()
    assert await sums(world, since=datetime.now(UTC) - timedelta(days=1)) == {(4, 35)}

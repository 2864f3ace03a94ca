"""Bad input of turns, branches and generations is refused by name, before any SQL: there is no server here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from livingworld import LivingWorld, NewScene, TurnInput, World, WorldRecord
from livingworld.errors import InvalidInput
from livingworld.identifiers import new_id
from tests.support.turn_checks import at_once

pytestmark = pytest.mark.any_server

ID = new_id()
NUL, SURROGATE = "before\x00after", "lone \ud800 surrogate"
BAD_KEY: list[Any] = [NUL, SURROGATE, 7, None, "", " ", "x" * 501, "livingworld:scene:1"]
BAD_NUMBER: list[Any] = [0, -1, True, "1", 1.0, 2**31]
BAD_HEAD: list[Any] = [-1, True, "1", 2**31]
BAD_ID: list[Any] = ["6f1c0000-0000-7000-8000-000000000000", 7, None]


async def play(world: World, **options: Any) -> object:  # noqa: ANN401
    story = options.pop("story", ID)
    return await world.turns.play(story, at_once("x"), **{"request_key": "k", **options})


async def regenerate(world: World, **options: Any) -> None:  # noqa: ANN401
    async with world.turns.regenerate(ID, **{"request_key": "k", **options}):
        pass


CASES: dict[str, tuple[str, list[Any], Callable[[World, Any], Awaitable[object]]]] = {
    "story": ("story_id", BAD_ID, lambda w, bad: play(w, story=bad)),
    "key": ("request_key", BAD_KEY, lambda w, bad: play(w, request_key=bad)),
    "choice": ("choice", BAD_NUMBER, lambda w, bad: play(w, choice=bad)),
    "instruction": ("instruction", [NUL, SURROGATE, 7, "x" * 100_001], lambda w, bad: play(w, instruction=bad)),
    "branch": ("branch", BAD_NUMBER, lambda w, bad: play(w, branch=bad)),
    "head": ("expected_head", BAD_HEAD, lambda w, bad: play(w, expected_head=bad)),
    "busy": ("busy", ["push", 7, None], lambda w, bad: play(w, busy=bad)),
    "time limit": ("time_limit", [7, "1s", timedelta(-1)], lambda w, bad: play(w, time_limit=bad)),
    "recent": ("recent", [0, 201, True, "1"], lambda w, bad: play(w, recent=bad)),
    "player": ("player", [NUL, SURROGATE, 7, "", "x" * 501], lambda w, bad: play(w, player=bad)),
    "own turn of nobody": ("replace_own", [None], lambda w, bad: play(w, player=bad, replace_own=True)),
    "replace own": ("replace_own", [1, "yes", None], lambda w, bad: play(w, player="ada", replace_own=bad)),
    "merge without a function": ("combine", ["merge"], lambda w, bad: play(w, busy=bad)),
    "function without merge": ("combine", [max], lambda w, bad: play(w, combine=bad)),
    "regenerated scene": ("scene_number", BAD_NUMBER, lambda w, bad: regenerate(w, scene_number=bad)),
    "regenerate merging": ("busy", ["merge"], lambda w, bad: regenerate(w, busy=bad)),
    "generation": ("generation_id", BAD_ID, lambda w, bad: w.generations.get(bad)),
    "chosen generation": ("generation_id", BAD_ID, lambda w, bad: w.generations.choose(bad)),
    "alternatives": ("scene_number", BAD_HEAD, lambda w, bad: w.generations.alternatives(ID, bad)),
    "fork": ("name", [NUL, 7, "", "x" * 501], lambda w, bad: w.branches.fork(ID, bad)),
    "fork at": ("at", BAD_HEAD, lambda w, bad: w.branches.fork(ID, "x", at=bad)),
    "rewind": ("to", BAD_HEAD, lambda w, bad: w.branches.rewind(ID, bad)),
    "undo": ("turns", BAD_NUMBER, lambda w, bad: w.branches.undo(ID, bad)),
    "redo": ("turns", BAD_NUMBER, lambda w, bad: w.branches.redo(ID, bad)),
    "rename": ("name", [NUL, 7, ""], lambda w, bad: w.branches.rename(ID, 1, bad)),
    "switch": ("branch", BAD_NUMBER, lambda w, bad: w.branches.switch(ID, bad)),
    "delete": ("branch", BAD_NUMBER, lambda w, bad: w.branches.delete(ID, bad)),
    "tree": ("story_id", BAD_ID, lambda w, bad: w.branches.tree(bad)),
}


@pytest_asyncio.fixture
async def nowhere() -> AsyncIterator[World]:
    """Give a world on a server that is not there."""
    async with LivingWorld.open(database_url="postgresql://nobody@127.0.0.1:1/nowhere") as livingworld:
        now: Any = None
        record = WorldRecord(
            id=ID,
            key=None,
            name="w",
            tenant=None,
            settings={},
            version=1,
            created_at=now,
            updated_at=now,
            archived_at=None,
        )
        yield livingworld.worlds._bind(record)


@pytest.mark.parametrize("case", CASES)
async def test_bad_input_names_its_field_before_any_sql(nowhere: World, case: str) -> None:
    field, values, call = CASES[case]
    for bad in values:
        with pytest.raises(InvalidInput) as refused:
            await call(nowhere, bad)
        assert refused.value.field == field, bad


async def test_what_a_turn_is_given_is_checked_and_nothing_of_it_is_lost(world: World) -> None:
    story = await world.stories.create("The Causeway")
    async with world.turns.take(story.id, request_key="k") as turn:
        for describe in ({"model": NUL}, {"script_version": 7}, {"parameters": {"a": object()}}, {"prompt": 7}):
            with pytest.raises(InvalidInput):
                turn.describe(**describe)
        for tokens in (-1, True, "1"):
            with pytest.raises(InvalidInput, match="input_tokens"):
                await turn.record("raw", input_tokens=tokens)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="raw_response"):
            await turn.record(NUL)
        with pytest.raises(InvalidInput, match="scene"):
            await turn.commit("text")  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="chosen_choice"):
            await turn.commit(NewScene("x", chosen_choice=2))
        with pytest.raises(InvalidInput, match="cast"):
            await turn.commit(NewScene("x", cast=["\u200b"]))
        assert (await turn.commit(NewScene("x"))).number == 1
    with pytest.raises(InvalidInput):
        TurnInput(choice=0)

"""Erasing a person: her word is nowhere afterwards, what is not hers is as it was, and the database is whole."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import pytest

from livingworld import Erased, NewScene, Story, World
from livingworld.doctor import Doctor
from livingworld.erasure.rules import RULES, Rule
from livingworld.errors import Fenced, InvalidInput, NotFound
from tests.support.a_person import WORD, columns_with_the_word, leave_words, playing
from tests.support.story_checks import broken_promises
from tests.support.turn_checks import broken_turns, rows

#: What is made of a text and does not show it.
_DERIVED: Final = {"request_hash", "prompt_digest", "digest", "vector", "embedder"}


def columns_of(*rules: Rule) -> set[tuple[str, str]]:
    """Return the columns of these rules in which a text can be read."""
    return {column for column, rule in RULES.items() if rule in rules and column[1] not in _DERIVED}


@pytest.mark.parametrize("scenes", ["keep", "blank"])
async def test_the_word_of_a_person_is_nowhere_afterwards(
    database_url: str, world: World, story: Story, scenes: str
) -> None:
    await leave_words(database_url, world, story)
    late = []
    with suppress(Fenced):
        async with playing(world, story) as turn:
            before = await columns_with_the_word(database_url)
            receipt = await world.erase(player=WORD, scenes=scenes)  # type: ignore[arg-type]
            for write in (turn.record(WORD), turn.commit(NewScene(WORD))):
                try:
                    await write
                except (Fenced, NotFound) as error:
                    late.append(type(error).__name__)
            await turn.commit(NewScene(WORD))
    await world.search.index()

    erased, of_scenes = columns_of(Rule.ERASED), columns_of(Rule.SCENES)
    assert sorted((erased | of_scenes) - before) == [], "the person has not filled these"
    left = await columns_with_the_word(database_url)
    assert left <= (of_scenes if scenes == "keep" else set())
    assert ("scenes", "content") in left or scenes == "blank"
    assert len(late) == 2
    assert receipt.rows.keys() <= {table for table, _ in RULES}
    assert await broken_turns(database_url, story.id) == []
    assert await broken_promises(database_url, world.id, story.id) == []
    async with Doctor.open(database_url=database_url) as doctor:
        assert await doctor.examine(world.id) == ()
    assert await world.erase(player=WORD) == Erased()


async def play_and_generate_again(world: World, story: Story) -> None:
    """Let one person play a turn, and another one generate its scene again."""
    async with world.turns.take(story.id, request_key="hers", player="ada", instruction="lantern") as turn:
        turn.describe(model="large")
        async with turn.call("planner", model="small") as call:
            call.answer("go", input_tokens=3)
        await turn.record("raw", input_tokens=5)
        await turn.commit(NewScene("A scene.", ["On"], cast=["Mara"]))
    async with world.turns.regenerate(story.id, request_key="toms", player="tom") as turn:
        await turn.commit(NewScene("Another scene.", ["On"]))
    await world.search.index()


async def test_what_a_story_keeps_is_in_order_and_what_it_cost_is_known(world: World, story: Story) -> None:
    await play_and_generate_again(world, story)

    receipt = await world.erase(player="ada")
    await world.search.index()

    assert receipt.rows == {
        "generations": 1,
        "model_calls": 1,
        "revisions": 1,
        "scene_words": 1,
        "turns": 1,
    }
    (kept,) = await world.stories.recent(story.id, 1)
    assert (kept.content, kept.turn) == ("Another scene.", "toms")
    assert (await world.search.find("lantern")).items == ()
    usage = await world.turns.usage(["model", "player"], story_id=story.id)
    assert {(each.model, each.player, each.input_tokens) for each in usage} == {
        ("large", None, 5),
        ("small", None, 3),
        (None, "tom", 0),
    }
    first, second = await world.generations.alternatives(story.id, 1)
    assert (first.state, first.error, first.raw_response, first.content) == ("failed", "erased", None, None)
    assert second.content == "Another scene."


async def test_another_person_loses_nothing(database_url: str, world: World, story: Story) -> None:
    for player in ("ada", "tom"):
        key = f"by-{player}"
        async with world.turns.take(story.id, request_key=key, player=player, instruction=f"says {player}") as turn:
            await turn.commit(NewScene(f"{player} came."))
        session = await world.sessions.open(player=player)
        await world.interactions.add(session.id, f"asks {player}")
        await world.actions.enqueue("walk", "walk", {"player": player})
        await world.presence.join(player)
        await world.run(returned, request_key=f"{player}")

    await world.erase(player="ada", scenes="blank")

    (his,) = (await world.turns.of(story.id)).items[:1]
    assert (his.player, his.request_key, his.inputs[0].instruction) == ("tom", "by-tom", "says tom")
    assert [scene.content for scene in await world.stories.recent(story.id, 2)] == ["", "tom came."]
    assert [each.player for each in (await world.sessions.list()).items] == ["tom"]
    assert [each.player for each in await world.presence.list()] == ["tom"]
    assert (await world.actions.size("walk")).waiting == 1
    assert await rows(database_url, "SELECT request_key FROM livingworld.request_keys") == [("tom",)]
    assert len(await rows(database_url, "SELECT FROM livingworld.actions WHERE payload ->> 'player' = 'tom'")) == 1


async def returned(_: object) -> int:
    """Return what is stored under a request key."""
    return 1


@pytest.mark.parametrize("player", ["", "two\nlines", None, 7])
async def test_a_name_that_nobody_can_have_is_refused(world: World, player: object) -> None:
    with pytest.raises(InvalidInput, match="player"):
        await world.erase(player=player)  # type: ignore[arg-type]


async def test_there_are_two_ways_for_scenes(world: World) -> None:
    with pytest.raises(InvalidInput, match="scenes"):
        await world.erase(player="ada", scenes="burn")  # type: ignore[arg-type]

from __future__ import annotations

import json
import tracemalloc

import pytest

from livingworld import Generation, NewScene, Scene, Story, World
from livingworld.errors import (
    BranchNameTaken,
    BranchNotFound,
    GenerationIncomplete,
    GenerationNotFound,
    InvalidInput,
    SceneNotFound,
    StaleHead,
)
from livingworld.identifiers import new_id
from tests.support.story_checks import broken_promises, read_path
from tests.support.turn_checks import broken_turns, rows


async def tell(world: World, story: Story, text: str, *, prompt: str = "p", choice: int | None = None) -> Scene:
    async with world.turns.take(story.id, request_key=text, choice=choice, instruction=f"tell {text}") as turn:
        turn.describe(prompt=prompt)
        return await turn.commit(
            NewScene(text, ["left", "right"], ["Mara"], location="the pier", raw_response=f"<{text}>")
        )


async def regenerate(world: World, story: Story, text: str, *, prompt: str = "p", scene: int | None = None) -> Scene:
    async with world.turns.regenerate(story.id, request_key=text, scene_number=scene) as turn:
        turn.describe(prompt=prompt)
        return await turn.commit(NewScene(text, ["up"], ["Tom"], metadata={"mood": 1}))


async def alternative(world: World, story: Story, number: int, text: str) -> Generation:
    found = [each for each in await world.generations.alternatives(story.id, number) if each.content == text]
    assert len(found) == 1
    return found[0]


async def test_a_scene_at_the_tip_is_told_anew_in_place_with_all_that_hung_on_it(
    database_url: str, world: World, story: Story
) -> None:
    await tell(world, story, "one")
    two = await tell(world, story, "two", choice=2)
    again = await regenerate(world, story, "two, regenerated")
    stored = await world.stories.scene(story.id, 2)

    assert (two.number, again.number, again.version, again.chosen_choice, again.parent_number) == (2, 2, 2, 2, 1)
    assert stored == again
    assert ([choice.content for choice in stored.choices], stored.location, stored.metadata) == (
        ["up"],
        None,
        {"mood": 1},
    )
    tom, _ = await world.characters.get_or_create("Tom")
    assert [(member.id, member.name) for member in stored.cast] == [(tom.id, tom.name)]
    old, new = await world.generations.alternatives(story.id, 2)
    assert (old.content, old.shown, old.state, old.raw_response) == ("two", False, "complete", "<two>")
    assert (new.content, new.shown, new.scene_number) == ("two, regenerated", True, 2)
    assert old.parsed is not None
    assert (old.parsed["choices"], old.parsed["location"]) == (["left", "right"], "the pier")
    assert [revision.content["content"] for revision in await world.stories.revisions(story.id, scene_number=2)] == [
        "two"
    ]
    assert await broken_turns(database_url, story.id) == []
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_the_scene_that_was_replaced_comes_back_whole(database_url: str, world: World, story: Story) -> None:
    await tell(world, story, "one")
    await tell(world, story, "two", choice=2)
    await regenerate(world, story, "two, regenerated")
    old, _ = await world.generations.alternatives(story.id, 2)

    back = await world.generations.choose(old.id, expected_head=2)
    assert (back.content, back.version, back.location) == ("two", 3, "the pier")
    assert [choice.content for choice in back.choices] == ["left", "right"]
    assert await world.stories.raw_response(story.id, 2) == "<two>"
    assert await world.generations.choose(old.id) == back
    assert await broken_turns(database_url, story.id) == []
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_regenerating_hands_out_the_place_and_the_input_of_the_turn(world: World, story: Story) -> None:
    await tell(world, story, "one")
    await tell(world, story, "two", choice=1)
    async with world.turns.regenerate(story.id, request_key="regenerated", expected_head=2) as turn:
        context = turn.context

    assert (context.head, context.instruction) == (1, "tell two")
    assert context.choice is not None
    assert context.choice.content == "left"
    assert [scene.content for scene in context.recent] == ["one"]
    assert [character.name for character in context.cast] == ["Mara"]
    async with world.turns.regenerate(story.id, request_key="otherwise", choice=2, instruction="slowly") as turn:
        assert turn.context.choice is not None
        assert (turn.context.choice.content, turn.context.instruction) == ("right", "slowly")


async def test_the_first_scene_is_told_anew_from_the_start(world: World, story: Story) -> None:
    await tell(world, story, "one")
    async with world.turns.regenerate(story.id, request_key="regenerated") as turn:
        assert (turn.context.head, turn.context.scene, turn.context.recent) == (0, None, ())
        assert (await turn.commit(NewScene("one, regenerated"))).number == 1


async def test_where_another_branch_stands_too_the_scene_is_told_beside_it(
    database_url: str, world: World, story: Story
) -> None:
    await tell(world, story, "one")
    await tell(world, story, "two", choice=1)
    await world.branches.fork(story.id, "watches two")
    beside = await regenerate(world, story, "another two")

    assert (beside.number, beside.position, beside.parent_number, beside.chosen_choice) == (3, 2, 1, 1)
    assert await read_path(world, story.id, 1) == [1, 3]
    assert await read_path(world, story.id, 2) == [1, 2]
    assert (await world.stories.scene(story.id, 2)).content == "two"
    assert {each.content for each in await world.generations.alternatives(story.id, 3)} == {"two", "another two"}
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_where_a_scene_follows_that_was_undone_the_scene_is_told_beside_it(
    database_url: str, world: World, story: Story
) -> None:
    await tell(world, story, "one")
    await tell(world, story, "two", choice=1)
    await world.branches.undo(story.id)
    beside = await regenerate(world, story, "another one")

    assert (beside.number, beside.position) == (3, 1)
    assert await read_path(world, story.id, 1) == [3]
    assert (await world.stories.scene(story.id, 1)).content == "one"
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_deeper_in_the_path_a_choice_forks(database_url: str, world: World, story: Story) -> None:
    await tell(world, story, "one")
    await tell(world, story, "two", choice=1)
    await regenerate(world, story, "two, regenerated")
    await tell(world, story, "three")
    old = await alternative(world, story, 2, "two")
    chosen = await world.generations.choose(old.id, branch_name="as it was")
    deep = await regenerate(world, story, "one, regenerated", scene=1)

    assert (chosen.number, chosen.position, chosen.content) == (4, 2, "two")
    assert (deep.number, deep.position) == (5, 1)
    branches = {branch.name: branch.head for branch in (await world.branches.list(story.id)).items}
    assert branches == {"main": 3, "as it was": 4, "alternative 3": 5}
    assert (await world.stories.head(story.id)).branch.name == "main"
    assert await world.generations.choose(old.id) == chosen
    assert await broken_promises(database_url, world.id, story.id) == []
    assert await broken_turns(database_url, story.id) == []


async def test_a_choice_in_a_transaction_is_undone_with_it(world: World, story: Story) -> None:
    await tell(world, story, "one")
    await regenerate(world, story, "one, again")
    first = await alternative(world, story, 1, "one")

    with pytest.raises(LookupError):
        async with world.transaction() as tx:
            assert (await tx.generations.choose(first.id)).content == "one"
            raise LookupError
    undone = await world.stories.scene(story.id, 1)
    async with world.transaction() as tx:
        chosen = await tx.generations.choose(first.id)

    assert undone.content == "one, again"
    assert await world.stories.scene(story.id, 1) == chosen
    assert chosen.content == "one"


async def test_a_stored_turn_repeats_with_its_own_choice_and_records_no_answer(world: World, story: Story) -> None:
    await tell(world, story, "one")
    stored = await tell(world, story, "two", choice=2)

    async with world.turns.take(story.id, request_key="two", choice=2, instruction="tell two") as turn:
        assert await turn.commit(NewScene("again", chosen_choice=2)) == stored
        with pytest.raises(InvalidInput, match="stored already"):
            await turn.record("an answer")


async def test_a_scene_that_no_turn_made_has_alternatives_too(world: World, story: Story) -> None:
    bare = await world.stories.append_scene(story.id, NewScene("appended", ["go"], ["Eve"]))
    assert await world.generations.alternatives(story.id, bare.number) == ()
    with pytest.raises(ZeroDivisionError):
        async with world.turns.regenerate(story.id, request_key="failed"):
            raise ZeroDivisionError
    assert [each.state for each in await world.generations.alternatives(story.id, 1)] == ["failed"]
    await regenerate(world, story, "told")
    old = await alternative(world, story, bare.number, "appended")
    again = await world.generations.choose(old.id)

    assert (again.content, [choice.content for choice in again.choices]) == ("appended", ["go"])
    assert again.cast == bare.cast


async def test_what_cannot_be_chosen_has_a_name(world: World, story: Story) -> None:
    await tell(world, story, "one")
    with pytest.raises(ZeroDivisionError):
        async with world.turns.regenerate(story.id, request_key="failed") as turn:
            await turn.record("half an answer")
            raise ZeroDivisionError
    _, failed = await world.generations.alternatives(story.id, 1)
    await regenerate(world, story, "one, regenerated")
    old = await alternative(world, story, 1, "one")
    await tell(world, story, "two")

    with pytest.raises(GenerationIncomplete):
        await world.generations.choose(failed.id)
    with pytest.raises(GenerationNotFound):
        await world.generations.choose(new_id())
    with pytest.raises(BranchNotFound):
        await world.generations.choose(old.id, branch=9)
    with pytest.raises(StaleHead):
        await world.generations.choose(old.id, expected_head=1)
    with pytest.raises(BranchNameTaken):
        await world.generations.choose(old.id, branch_name="main")
    with pytest.raises(SceneNotFound):
        await regenerate(world, story, "x", scene=99)
    with pytest.raises(InvalidInput, match="request_key"):
        await regenerate(world, story, "livingworld:scene:1")
    assert await read_path(world, story.id, 1) == [1, 2]


async def test_preferences_are_pairs_of_answers_to_one_prompt(world: World, story: Story) -> None:
    await tell(world, story, "one", prompt="the same")
    await regenerate(world, story, "one, regenerated", prompt="the same")
    await regenerate(world, story, "one, of another prompt", prompt="another")
    first = await alternative(world, story, 1, "one, regenerated")
    await world.generations.choose(first.id)
    other = await world.stories.create("another story")
    await tell(world, other, "there", prompt="there")
    await regenerate(world, other, "there, regenerated", prompt="there")

    pairs = [json.loads(line) async for line in world.generations.preferences(story.id)]
    everything = [json.loads(line) async for line in world.generations.preferences()]

    assert [(pair["chosen"], pair["rejected"]) for pair in pairs] == [("one, regenerated", "one")]
    assert pairs[0]["prompt_digest"] == first.prompt_digest
    assert {(pair["chosen"], pair["rejected"]) for pair in everything} == {
        ("one, regenerated", "one"),
        ("there, regenerated", "there"),
    }


_MANY_PAIRS = """
WITH made AS (
    INSERT INTO livingworld.turns
        (world_id, story_id, request_key, request_hash, state, branch_number, origin_key, token, scene_number, attempts)
    SELECT world_id, story_id, 'bulk', sha256('x'), 'committed', 1, 'bulk', 0, 1, 1
    FROM livingworld.stories WHERE story_id = $1
    RETURNING world_id, story_id
)
INSERT INTO livingworld.generations
    (world_id, generation_id, story_id, request_key, attempt, state, scene_number, prompt_digest, parsed)
SELECT world_id, gen_random_uuid(), story_id, 'bulk', n, 'complete', CASE WHEN n = 1 THEN 1 END, sha256('p'),
       CASE WHEN n > 1 THEN jsonb_build_object('content', repeat('text ', 2000)) END
FROM made, generate_series(1, 3000) n
"""


@pytest.mark.plain_server("Citus loses a table of the statement by which the test stores many pairs")
async def test_preferences_of_any_number_take_bounded_memory(database_url: str, world: World, story: Story) -> None:
    await world.stories.append_scene(story.id, NewScene("chosen"))
    await rows(database_url, _MANY_PAIRS, story.id)
    tracemalloc.start()
    count = 0
    async for line in world.generations.preferences():
        count += len(line) > 10_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 2999
    assert peak < 12_000_000, "30 MB of text in all"

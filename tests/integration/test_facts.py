"""Facts: true from the scene on in which they were set, on the paths that contain it."""

from __future__ import annotations

from uuid import uuid4

import pytest

from livingworld import NewScene, Story, Subject, World
from livingworld.errors import Archived, BranchNotFound, SceneNotFound, StaleHead, StoryNotFound, VersionConflict
from livingworld.identifiers import new_id


async def tell(world: World, story: Story, *texts: str) -> None:
    for text in texts:
        await world.stories.append_scene(story.id, NewScene(text))


async def test_a_fact_is_true_from_its_scene_on(world: World, story: Story) -> None:
    first = await world.facts.set(story.id, Subject("tide"), "height", 1)
    await tell(world, story, "one")
    second = await world.facts.set(story.id, Subject("tide"), "height", {"feet": [2, 2.5]})
    await tell(world, story, "two")

    assert (first.version, first.scene_number, second.version, second.scene_number) == (1, 0, 2, 1)
    assert await world.facts.get(story.id, Subject("tide"), "height") == second
    assert await world.facts.get(story.id, Subject("tide"), "height", as_of=0) == first
    assert await world.facts.get(story.id, Subject("tide"), "height", as_of=1) == second
    assert await world.facts.history(story.id, Subject("tide"), "height") == (first, second)
    assert await world.facts.history(story.id, Subject("tide"), "height", as_of=0) == (first,)


async def test_undo_takes_a_fact_back_and_redo_brings_it_again(world: World, story: Story) -> None:
    await tell(world, story, "one", "two")
    await world.characters.get_or_create("Mara")
    set_at_two = await world.facts.set(story.id, "Mara", "mood", "wary")
    await world.branches.undo(story.id)
    assert await world.facts.get(story.id, "Mara", "mood") is None

    other = await world.facts.set(story.id, "Mara", "mood", "glad")
    await tell(world, story, "two, otherwise")
    assert await world.facts.get(story.id, "Mara", "mood") == other
    assert await world.facts.get(story.id, "Mara", "mood", as_of=2) == set_at_two
    assert other.version > set_at_two.version


async def test_a_fork_has_the_facts_of_the_path_it_shares_and_no_others(world: World, story: Story) -> None:
    await tell(world, story, "one")
    shared = await world.facts.set(story.id, Subject("door"), "open", value=True)
    await tell(world, story, "two")
    await world.facts.set(story.id, Subject("door"), "open", value=False)
    fork = await world.branches.fork(story.id, "fork", at=1)
    await world.stories.append_scene(story.id, NewScene("two, otherwise"), branch=fork.number)
    own = await world.facts.set(story.id, Subject("lamp"), "lit", value=True, branch=fork.number)

    assert await world.facts.all(story.id, branch=fork.number) == (shared, own)
    assert [fact.value for fact in await world.facts.all(story.id)] == [False]


async def test_null_is_a_value_and_a_retracted_fact_is_none(world: World, story: Story) -> None:
    nothing = await world.facts.set(story.id, Subject("pocket"), "content", None)
    assert await world.facts.get(story.id, Subject("pocket"), "content") == nothing
    assert nothing.value is None

    await tell(world, story, "one")
    await world.facts.retract(story.id, Subject("pocket"), "content", expected_version=nothing.version)
    assert await world.facts.get(story.id, Subject("pocket"), "content") is None
    assert await world.facts.all(story.id) == ()
    assert await world.facts.get(story.id, Subject("pocket"), "content", as_of=0) == nothing
    values = [
        (fact.retracted, fact.version) for fact in await world.facts.history(story.id, Subject("pocket"), "content")
    ]
    assert values == [(False, 1), (True, 2)]
    await world.facts.compare_and_set(story.id, Subject("pocket"), "content", "a key", expected_version=0)


async def test_many_facts_are_set_at_once_and_read_by_subject(world: World, story: Story) -> None:
    mara, _ = await world.characters.get_or_create("Mara")
    made = await world.facts.set_many(
        story.id, {(mara.id, "mood"): "wary", (Subject("tide"), "height"): 3, (Subject("tide"), "a"): []}
    )

    assert [(fact.subject, fact.attribute, fact.value) for fact in made] == [
        ("Mara", "mood", "wary"),
        ("tide", "height", 3),
        ("tide", "a", []),
    ]
    assert [fact.character for fact in made] == [mara.id, None, None]
    assert [fact.attribute for fact in await world.facts.all(story.id, Subject("tide"))] == ["a", "height"]
    assert [fact.value for fact in await world.facts.all(story.id, mara.id)] == ["wary"]
    assert await world.facts.all(story.id, Subject("the keeper")) == ()


async def test_a_version_that_is_not_true_is_refused(world: World, story: Story) -> None:
    first = await world.facts.compare_and_set(story.id, Subject("lamp"), "lit", "no", expected_version=0)
    for expected in (0, 2):
        with pytest.raises(VersionConflict) as caught:
            await world.facts.compare_and_set(story.id, Subject("lamp"), "lit", "yes", expected_version=expected)
        assert (caught.value.expected, caught.value.actual) == (expected, 1)
    assert await world.facts.all(story.id) == (first,)


async def test_the_same_value_set_again_is_another_version(world: World, story: Story) -> None:
    first = await world.facts.set(story.id, Subject("lamp"), "lit", "no")
    await world.facts.set(story.id, Subject("lamp"), "lit", "yes")
    await world.facts.set(story.id, Subject("lamp"), "lit", "no")

    with pytest.raises(VersionConflict):
        await world.facts.compare_and_set(story.id, Subject("lamp"), "lit", "broken", expected_version=first.version)


async def test_a_version_read_before_a_redo_is_not_the_one_after_it(world: World, story: Story) -> None:
    await tell(world, story, "one", "two")
    await world.facts.set(story.id, Subject("lamp"), "lit", "at two")
    await world.branches.undo(story.id)
    seen = await world.facts.set(story.id, Subject("lamp"), "lit", "at one")
    await world.branches.redo(story.id)

    with pytest.raises(VersionConflict) as caught:
        await world.facts.compare_and_set(story.id, Subject("lamp"), "lit", "x", expected_version=seen.version)
    assert caught.value.actual == 1


async def test_what_is_not_there_is_named(world: World, story: Story) -> None:
    await tell(world, story, "one")
    with pytest.raises(BranchNotFound):
        await world.facts.all(story.id, branch=9)
    with pytest.raises(SceneNotFound):
        await world.facts.all(story.id, as_of=9)
    with pytest.raises(StoryNotFound):
        await world.facts.get(uuid4(), Subject("a"), "b")
    with pytest.raises(StoryNotFound):
        await world.facts.set(new_id(), Subject("a"), "b", 1)
    with pytest.raises(BranchNotFound):
        await world.facts.set(story.id, Subject("a"), "b", 1, branch=7)
    with pytest.raises(StaleHead):
        await world.facts.set(story.id, Subject("a"), "b", 1, expected_head=0)
    await world.stories.archive(story.id)
    with pytest.raises(Archived):
        await world.facts.set(story.id, Subject("a"), "b", 1)
    assert await world.facts.all(story.id) == ()


async def test_facts_join_a_transaction_and_leave_with_it(world: World, story: Story) -> None:
    with pytest.raises(ZeroDivisionError):
        async with world.transaction() as tx:
            await tx.stories.append_scene(story.id, NewScene("one"))
            await tx.facts.set(story.id, Subject("a"), "b", 1)
            assert [fact.scene_number for fact in await tx.facts.all(story.id)] == [1]
            raise ZeroDivisionError

    assert await world.facts.all(story.id) == ()

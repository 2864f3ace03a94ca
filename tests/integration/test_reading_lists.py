"""All scenes of a story, who appears in it, and several characters at once."""

from __future__ import annotations

import pytest

from livingworld import NewScene, Story, StoryCharacter, World
from livingworld.errors import CharacterNotFound, InvalidCursor, InvalidInput
from livingworld.identifiers import new_id


@pytest.fixture
async def story(world: World) -> Story:
    """Give a story of five scenes, of which one is on another branch and one was undone."""
    made = await world.stories.create("The Causeway")
    await world.stories.append_scene(made.id, NewScene("one", cast=["Mara"], raw_response="<one>"))
    await world.stories.append_scene(made.id, NewScene("two", cast=["Tom", "Mara"]))
    await world.stories.append_scene(made.id, NewScene("undone", cast=["Ada"], raw_response="<undone>"))
    await world.branches.undo(made.id)
    fork = await world.branches.fork(made.id, "aside", at=1)
    await world.stories.append_scene(made.id, NewScene("aside", cast=["Tom"]), branch=fork.number)
    await world.stories.append_scene(made.id, NewScene("three"))
    return made


async def test_all_scenes_of_a_story_come_in_pages_with_what_the_model_answered(world: World, story: Story) -> None:
    first = await world.stories.all_scenes(story.id, limit=3)
    rest = await world.stories.all_scenes(story.id, limit=3, after=first.next)
    found = (*first.items, *rest.items)

    assert [stored.scene.content for stored in found] == ["one", "two", "undone", "aside", "three"]
    assert [stored.raw_response for stored in found] == ["<one>", None, "<undone>", None, None]
    assert [stored.scene for stored in found] == [await world.stories.scene(story.id, number) for number in range(1, 6)]
    assert rest.next is None
    assert (await world.stories.all_scenes(new_id())).items == ()
    with pytest.raises(InvalidCursor):
        await world.stories.all_scenes(story.id, after="x")


async def test_who_appears_in_a_story_comes_with_the_first_and_the_last_scene(world: World, story: Story) -> None:
    other = await world.stories.create("Another")
    await world.stories.append_scene(other.id, NewScene("x", cast=["Mara", "Nobody here"]))
    cast = {name: await world.characters.find(name) for name in ("Mara", "Tom", "Ada")}
    scenes = {"Mara": (1, 2), "Tom": (2, 4), "Ada": (3, 3)}
    wanted = [
        StoryCharacter(id=found.id, name=name, first_scene=scenes[name][0], last_scene=scenes[name][1])
        for name, found in cast.items()
        if found is not None
    ]

    first = await world.stories.characters(story.id, limit=2)
    rest = await world.stories.characters(story.id, limit=2, after=first.next)
    assert [*first.items, *rest.items] == sorted(wanted, key=lambda character: character.id)
    assert (len(first.items), rest.next) == (2, None)
    assert (await world.stories.characters(new_id())).items == ()


async def test_several_characters_come_in_the_order_of_their_ids_as_given(world: World) -> None:
    (ada, _), (bo, _) = await world.characters.get_or_create_many(["Ada", "Bo"])

    assert await world.characters.get_many([bo.id, "ADA", "bo"]) == (bo, ada, bo)
    assert await world.characters.get_many([]) == ()
    missing = new_id()
    with pytest.raises(CharacterNotFound) as refused:
        await world.characters.get_many([ada.id, missing])
    assert str(missing) in str(refused.value)
    with pytest.raises(InvalidInput) as wrong:
        await world.characters.get_many([ada.id, 7])  # type: ignore[list-item]
    assert wrong.value.field == "characters[1]"

"""Worlds, stories and characters are found by a key of the application's own, and what makes them can be repeated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from livingworld import LivingWorld, NewScene, World
from livingworld.errors import BranchNotFound, InvalidText, NameTaken, RequestKeyReused, StoryNotFound
from livingworld.testing.protocol_proxy import protocol_proxy
from tests.support.quiet import open_quietly

EXISTING: Final[dict[str, Callable[[LivingWorld, World], Awaitable[object]]]] = {
    "world": lambda livingworld, _: livingworld.worlds.get_or_create("channel"),
    "story": lambda _, world: world.stories.get_or_create("save"),
    "character": lambda _, world: world.characters.get_or_create("Mara", key="account"),
    "find a world": lambda livingworld, _: livingworld.worlds.find_by_key("channel"),
    "find a story": lambda _, world: world.stories.find_by_key("save"),
    "find a character": lambda _, world: world.characters.find_by_key("account"),
}


@pytest.mark.direct_connection("a pooler takes limits in the transaction, which are statements more")
@pytest.mark.parametrize("name", EXISTING)
async def test_what_exists_is_returned_by_one_statement(database_url: str, name: str) -> None:
    async with protocol_proxy(database_url) as proxy, open_quietly(proxy.url) as livingworld:
        world, _ = await livingworld.worlds.get_or_create("channel")
        await world.stories.get_or_create("save")
        await world.characters.get_or_create("Mara", key="account")
        await EXISTING[name](livingworld, world)  # a new connection asks for the types first, once

        proxy.statements.clear()
        await EXISTING[name](livingworld, world)

    assert len(proxy.statements) == 1, proxy.statements


async def test_a_world_is_the_one_of_its_key_archived_or_not(livingworld: LivingWorld) -> None:
    world, created = await livingworld.worlds.get_or_create("channel 7", tenant="studio", settings={"language": "en"})
    await livingworld.worlds.archive(world.id)
    again, created_again = await livingworld.worlds.get_or_create("channel 7", name="ignored")
    found = await livingworld.worlds.find_by_key("channel 7")

    assert (created, created_again, again.id) == (True, False, world.id)
    assert (world.record.key, world.record.name, world.record.tenant) == ("channel 7", "channel 7", "studio")
    assert found is not None
    assert found.id == world.id
    assert await livingworld.worlds.find_by_key("Channel 7") is None


async def test_a_story_is_the_one_of_its_key_in_its_world(livingworld: LivingWorld, world: World) -> None:
    story, created = await world.stories.get_or_create("save 1", title="The Causeway", premise="A lantern.")
    await world.stories.append_scene(story.id, NewScene("Fog."))
    again, created_again = await world.stories.get_or_create("save 1", title="ignored")
    other = await livingworld.worlds.create("another")
    elsewhere, created_elsewhere = await other.stories.get_or_create("save 1")

    assert (created, created_again, created_elsewhere) == (True, False, True)
    assert (again.id, again.title, again.key, again.scene_count) == (story.id, "The Causeway", "save 1", 1)
    assert elsewhere.id != story.id
    assert elsewhere.title == "save 1"
    assert (await world.stories.head(story.id)).story == again
    assert await world.stories.find_by_key("save 2") is None
    assert [each.key for each in (await world.stories.list()).items] == ["save 1"]


async def test_a_character_of_a_key_stays_it_under_a_new_name_and_takes_no_name_of_another(world: World) -> None:
    ada, created = await world.characters.get_or_create("Ada", key="account 1", card={"age": 31})
    await world.characters.update(ada.id, expected_version=1, name="Ada Byron")
    again, created_again = await world.characters.get_or_create("Somebody", key="account 1")
    with pytest.raises(NameTaken) as refused:
        await world.characters.get_or_create("ADA", key="account 2")

    assert (created, created_again, again.id, again.name) == (True, False, ada.id, "Ada Byron")
    assert refused.value.character_id == ada.id
    assert await world.characters.find_by_key("account 2") is None
    assert await world.characters.find_by_key("account 1") == again
    assert await world.characters.find("Somebody") is None
    assert (await world.characters.get(ada.id)).key == "account 1"


async def test_a_name_that_is_taken_leaves_an_open_transaction_usable(world: World) -> None:
    await world.characters.get_or_create("Ada")
    async with world.transaction() as tx:
        with pytest.raises(NameTaken):
            await tx.characters.get_or_create("Ada", key="account 2")
        story, _ = await tx.stories.get_or_create("save 1")

    assert await world.characters.find_by_key("account 2") is None
    assert await world.stories.find_by_key("save 1") == story


async def test_a_key_is_one_line_with_something_in_it(livingworld: LivingWorld, world: World) -> None:
    for key in ("", " ", "a\nb", "x" * 501):
        for ask in (
            livingworld.worlds.get_or_create(key),
            livingworld.worlds.find_by_key(key),
            world.stories.get_or_create(key),
            world.stories.find_by_key(key),
            world.characters.get_or_create("Mara", key=key),
            world.characters.find_by_key(key),
        ):
            with pytest.raises(InvalidText) as refused:
                await ask
            assert refused.value.field == "key"


async def test_a_repeated_create_returns_what_the_first_made_as_it_is_now(
    livingworld: LivingWorld, world: World
) -> None:
    made = await livingworld.worlds.create("Fen", tenant="studio", request_key="click 1")
    await livingworld.worlds.update(made.id, expected_version=1, name="Fens")
    again = await livingworld.worlds.create("Fen", tenant="studio", request_key="click 1")
    story = await world.stories.create("The Causeway", request_key="click 1")
    await world.stories.append_scene(story.id, NewScene("Fog."))
    story_again = await world.stories.create("The Causeway", request_key="click 1")
    branch = await world.branches.fork(story.id, "aside", at=1, request_key="click 2")
    await world.branches.rename(story.id, branch.number, "astray")
    branch_again = await world.branches.fork(story.id, "aside", at=1, request_key="click 2", expected_head=1)

    assert (again.id, again.record.name) == (made.id, "Fens")
    assert (story_again.id, story_again.scene_count) == (story.id, 1)
    assert (branch_again.number, branch_again.name) == (branch.number, "astray")
    assert len((await world.stories.list()).items) == 1
    for other in (
        livingworld.worlds.create("Fen", request_key="click 1"),
        world.stories.create("Another", request_key="click 1"),
        world.branches.fork(story.id, "aside", at=0, request_key="click 2"),
        world.branches.fork(story.id, "aside", at=1, request_key="click 1"),
    ):
        with pytest.raises(RequestKeyReused):
            await other


async def test_a_repetition_of_what_was_removed_since_says_so(world: World) -> None:
    story = await world.stories.create("The Causeway", request_key="click 1")
    fork = await world.branches.fork(story.id, "aside", request_key="click 2")
    await world.branches.delete(story.id, fork.number)
    with pytest.raises(BranchNotFound):
        await world.branches.fork(story.id, "aside", request_key="click 2")
    await world.stories.purge(story.id)
    with pytest.raises(StoryNotFound):
        await world.stories.create("The Causeway", request_key="click 1")

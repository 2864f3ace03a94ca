"""Memories in pages with filters, and their versions: every change raises one, and `update` compares it."""

from __future__ import annotations

import pytest

from livingworld import Memory, NewMemory, NewScene, Story, World
from livingworld.errors import Archived, CharacterNotFound, InvalidInput, MemoryNotFound, VersionConflict
from livingworld.identifiers import new_id
from tests.support.staging import THE_STORY, kinds, race


@pytest.fixture
async def story(world: World) -> Story:
    return await world.stories.create("The Causeway")


async def all_pages(world: World, story: Story, **options: object) -> list[Memory]:
    found: list[Memory] = []
    cursor: str | None = None
    while True:
        page = await world.memories.list(story.id, limit=2, after=cursor, **options)  # type: ignore[arg-type]
        found += page.items
        if (cursor := page.next) is None:
            return found


async def test_the_memories_of_a_story_come_in_pages_whatever_the_branch(world: World, story: Story) -> None:
    mara, _ = await world.characters.get_or_create("Mara")
    await world.stories.append_scene(story.id, NewScene("Fog."))
    rain, secret, rule = [
        (await world.memories.add(story.id, [each]))[0][0]
        for each in (
            NewMemory("It rained."),
            NewMemory("She took it.", mara.id, private=True),
            NewMemory("Never run.", mara.id, kind="rule"),
        )
    ]
    await world.branches.undo(story.id)
    ((early, _),) = await world.memories.add(story.id, [NewMemory("Before all.")])
    await world.memories.forget([rain.id])
    other = await world.stories.create("Another")
    await world.memories.add(other.id, [NewMemory("It rained.", mara.id)])

    assert await all_pages(world, story) == [early, rule, secret]
    everything = await all_pages(world, story, include_forgotten=True)
    assert [each.id for each in everything] == [early.id, rule.id, secret.id, rain.id]
    assert await all_pages(world, story, character=mara.id) == [rule, secret]
    assert await all_pages(world, story, kinds=["rule", "event"], character=mara.id) == [rule, secret]
    assert await all_pages(world, story, character="MARA") == [rule, secret]
    assert await all_pages(world, story, kinds=["rule"]) == [rule]
    assert (await world.memories.list(new_id())).items == ()
    with pytest.raises(CharacterNotFound):
        await world.memories.list(story.id, character="Nobody")


async def test_an_update_names_the_version_that_the_caller_read(world: World, story: Story) -> None:
    ((memory, _),) = await world.memories.add(story.id, [NewMemory("It rained.", importance=0.1)])
    changed = await world.memories.update(memory.id, expected_version=1, importance=1.0, valence=-0.5, kind="weather")

    assert (memory.version, changed.version, changed.content) == (1, 2, "It rained.")
    assert (changed.importance, changed.valence, changed.kind) == (1.0, -0.5, "weather")
    assert changed.updated_at > memory.updated_at
    assert await world.memories.get(memory.id) == changed
    assert (await world.memories.recent(story.id))[0] == changed
    with pytest.raises(VersionConflict) as refused:
        await world.memories.update(memory.id, expected_version=1, importance=0)
    assert (refused.value.expected, refused.value.actual) == (1, 2)
    with pytest.raises(InvalidInput) as wrong:
        await world.memories.update(memory.id, expected_version=2, private=True)
    assert wrong.value.field == "private"
    with pytest.raises(MemoryNotFound):
        await world.memories.update(new_id(), expected_version=1, importance=0)
    await world.stories.archive(story.id)
    with pytest.raises(Archived):
        await world.memories.update(memory.id, expected_version=2, importance=0)


async def test_whatever_changes_a_memory_raises_its_version(world: World, story: Story) -> None:
    added = await world.memories.add(story.id, [NewMemory("It rained."), NewMemory("It snowed.")])
    rain, snow = [memory.id for memory, _ in added]
    await world.memories.consolidate(story.id, [rain], NewMemory("Weather."))
    await world.memories.forget([snow])
    versions = [(await world.memories.get(each)).version for each in (rain, snow)]
    await world.memories.add(story.id, [NewMemory("It snowed.")])

    assert versions == [2, 2]
    again = await world.memories.get(snow)
    assert (again.version, again.forgotten_at) == (3, None)


async def test_of_four_updates_of_one_version_one_wins(database_url: str, world: World, story: Story) -> None:
    ((memory, _),) = await world.memories.add(story.id, [NewMemory("It rained.")])
    writers = [world.memories.update(memory.id, expected_version=1, importance=number / 4) for number in range(4)]
    results = await race(database_url, THE_STORY, [world.id, story.id], writers, blocked=1)

    assert kinds(results) == ["Memory", "VersionConflict", "VersionConflict", "VersionConflict"]
    assert (await world.memories.get(memory.id)).version == 2


async def test_a_turn_s_context_has_the_version(world: World, story: Story) -> None:
    await world.memories.add(story.id, [NewMemory("It rained.")])
    async with world.turns.take(story.id, request_key="k") as turn:
        assert [memory.version for memory in turn.context.memories] == [1]
        await turn.commit(NewScene("Fog."))

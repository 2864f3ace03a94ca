"""A summary stays in the context of a turn for as long as it stands for its parts."""

from __future__ import annotations

from livingworld import Memory, NewMemory, NewScene, NewState, Story, World


async def play(world: World, story: Story, key: str, *memories: str) -> tuple[str, ...]:
    """Take a turn and commit it; return what its context remembers."""
    async with world.turns.take(story.id, request_key=key) as turn:
        await turn.commit(NewScene(key), NewState(memories=[NewMemory(text) for text in memories]))
    return tuple(memory.content for memory in turn.context.memories)


async def summarized(world: World, story: Story, text: str, parts: list[Memory]) -> Memory:
    return await world.memories.consolidate(story.id, [each.id for each in parts], NewMemory(text, kind="summary"))


async def test_a_summary_does_not_leave_the_context_after_five_scenes(world: World, story: Story) -> None:
    for number in range(3):
        await play(world, story, f"a{number}", f"thing {number}")
    await summarized(world, story, "three things", list(await world.memories.recent(story.id)))

    found = [await play(world, story, f"b{number}", f"later {number}") for number in range(8)]

    assert found[0] == ("three things",)
    assert found[7] == ("three things", *(f"later {number}" for number in range(2, 7)))


async def test_a_summary_leaves_when_a_later_one_stands_for_it_and_comes_back_with_its_undoing(
    world: World, story: Story
) -> None:
    await play(world, story, "one", "a thing")
    first = await summarized(world, story, "of one", list(await world.memories.recent(story.id)))
    for number in range(6):
        await play(world, story, f"b{number}")
    await summarized(world, story, "of all", [first])
    for number in range(6):
        await play(world, story, f"c{number}")

    assert await play(world, story, "later") == ("of all",)
    await world.branches.undo(story.id, turns=8)
    assert await play(world, story, "other") == ("of one",)
    await world.branches.undo(story.id, turns=7)
    assert await play(world, story, "another") == ()


async def test_a_forgotten_or_private_summary_is_not_in_the_context(world: World, story: Story) -> None:
    mara, _ = await world.characters.get_or_create("Mara")
    await play(world, story, "one", "a thing")
    forgotten = await summarized(world, story, "forgotten", list(await world.memories.recent(story.id)))
    ((secret, _),) = await world.memories.add(story.id, [NewMemory("It was me.", mara.id, private=True)])
    await world.memories.consolidate(story.id, [secret.id], NewMemory("a secret", mara.id))
    for number in range(6):
        await play(world, story, f"b{number}")
    assert await play(world, story, "later") == ("forgotten",)

    await world.memories.forget([forgotten.id])
    assert await play(world, story, "after") == ()

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from livingworld import NewMemory, NewScene, Story, Subject, World
from livingworld.testing.protocol_proxy import protocol_proxy
from tests.support.quiet import open_quietly

CALLS: dict[str, Callable[[World, Story], Awaitable[object]]] = {
    "append": lambda world, story: world.stories.append_scene(story.id, NewScene("x", ["a"])),
    "append with a key": lambda world, story: world.stories.append_scene(story.id, NewScene("y"), request_key="k"),
    "append with a cast": lambda world, story: world.stories.append_scene(story.id, NewScene("x", (), ["mara", "TOM"])),
    "head": lambda world, story: world.stories.head(story.id),
    "recent": lambda world, story: world.stories.recent(story.id, 5),
    "scene": lambda world, story: world.stories.scene(story.id, 1),
    "page": lambda world, story: world.stories.scenes(story.id, limit=2),
    "get_or_create": lambda world, _: world.characters.get_or_create("MARA"),
    "facts": lambda world, story: world.facts.all(story.id),
    "fact by name": lambda world, story: world.facts.get(story.id, "MARA", "mood"),
    "relationship by names": lambda world, story: world.relationships.between(story.id, "mara", "tom"),
    "recall by name": lambda world, story: world.memories.recall(story.id, "x", character="mara"),
    "character by name": lambda world, _: world.characters.get("MARA"),
    "relationships": lambda world, story: world.relationships.graph(story.id),
    "recall": lambda world, story: world.memories.recall(story.id, "x"),
    "find": lambda world, _: world.characters.find("mara"),
    "list": lambda world, _: world.stories.list(),
}


def work(statements: list[str]) -> list[str]:
    """Return the statements that work with the tables or end a transaction, and none of a connection that opens."""
    return [each for each in statements if "livingworld." in each or each.lstrip().startswith("COMMIT")]


async def test_a_turn_is_taken_and_committed_by_one_statement_each(database_url: str) -> None:
    async with protocol_proxy(database_url) as proxy, open_quietly(proxy.url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        for key in ("new connections ask for the types first", "counted"):
            proxy.statements.clear()
            async with world.turns.take(story.id, request_key=key) as turn:
                taken = work(proxy.statements)
                await turn.commit(NewScene("x", ["a"], ["Mara"]))

    assert len(taken) == 1, taken
    assert len(work(proxy.statements)) == 2, proxy.statements


@pytest.mark.parametrize("name", CALLS)
async def test_a_hot_call_is_one_statement_and_no_transaction_around_it(database_url: str, name: str) -> None:
    async with protocol_proxy(database_url) as proxy, open_quietly(proxy.url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        await world.stories.append_scene(story.id, NewScene("x", ["a"], ["Mara"]))
        await world.facts.set(story.id, Subject("a"), "b", 1)
        (mara, _), (tom, _) = await world.characters.get_or_create_many(["Mara", "Tom"])
        await world.relationships.adjust(story.id, mara.id, tom.id, trust=0.1)
        await world.memories.add(story.id, [NewMemory("x")])
        await world.facts.set(story.id, "Mara", "mood", "calm")
        for call in (CALLS["append"], CALLS["recall"]):
            await call(world, story)  # a new connection asks for the types first, once

        proxy.statements.clear()
        await CALLS[name](world, story)

    assert len(work(proxy.statements)) == 1, proxy.statements


async def test_the_count_sees_a_transaction(database_url: str) -> None:
    async with protocol_proxy(database_url) as proxy, open_quietly(proxy.url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        proxy.statements.clear()
        await world.stories.archive(story.id)

    assert len(work(proxy.statements)) == 4, proxy.statements

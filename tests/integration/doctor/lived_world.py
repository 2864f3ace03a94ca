"""A world in which something of every kind has happened, to be examined and to be damaged."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from livingworld import LivingWorld, NewMemory, NewScene, NewState, RelationshipChange, Subject, World
from livingworld.testing.hashing_embedder import HashingEmbedder
from tests.support.every_write import furnish


async def live(livingworld: LivingWorld) -> UUID:
    """Make such a world and return its id."""
    there = await furnish(livingworld)
    world, story = there.world, there.story.id
    await regenerate_a_turn(world, story)
    for trust in (0.5, 0.2, -0.4):
        await world.relationships.adjust(story, there.mara.id, there.tom.id, trust=trust)
    await world.stories.edit_scene(story, 1, expected_version=1, content="Uno.")
    await world.branches.fork(story, "third", at=1)
    await world.stories.append_scene(story, NewScene("Another way."), branch=3, request_key="a way")
    await world.branches.undo(story)
    embeddings = world.memory_embeddings(HashingEmbedder())
    await embeddings.use()
    await embeddings.run_all()
    await world.documents.increment("flags", field="on")
    await world.documents.increment("passing")
    await world.documents.delete("passing")
    await world.cycles.run("tide", {"plan": nothing})
    async with world.leases.hold("tide"):
        pass
    async with world.live.subscribe(story=story):
        await world.stories.append_scene(story, NewScene("Followed."))
        await world.facts.set(story, "Mara", "mood", "glad")
    await world.scripts.activate("greeting", 2)
    await world.actions.enqueue("waiting", "walk", not_before=timedelta(days=1))
    return world.id


async def regenerate_a_turn(world: World, story_id: UUID) -> None:
    """Commit a turn with state and generate it again, so that the first text is an alternative."""
    felt = [RelationshipChange("Mara", "Tom", trust=0.1)]
    state = NewState(
        facts={(Subject("lamp"), "lit"): True}, relationships=felt, memories=[NewMemory("The lamp was lit.")]
    )
    async with world.turns.take(story_id, request_key="1") as turn:
        await turn.commit(NewScene("Three.", ["Wait"], cast=["Mara", "Tom"]), state)
    async with world.turns.regenerate(story_id, request_key="2") as turn:
        await turn.commit(NewScene("Three, again.", ["Wait"]))


async def nothing(_: object) -> None:
    """Do nothing: a phase of a cycle."""

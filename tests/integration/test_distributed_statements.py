from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from uuid import UUID

import pytest

from livingworld import (
    ABSENT,
    LivingWorld,
    NewLoreEntry,
    NewMemory,
    NewScene,
    NewState,
    RelationshipChange,
    Story,
    Subject,
    TurnInput,
    World,
)
from livingworld.testing.hashing_embedder import HashingEmbedder
from tests.integration.distributed_actions import use_actions
from tests.integration.distributed_ai_models import use_ai_models
from tests.integration.distributed_coordination import use_cycles, use_locks_and_leases, use_sessions
from tests.integration.distributed_live import use_live
from tests.integration.distributed_scripts import use_scripts
from tests.support.aftermath import engine_of
from tests.support.distribution_rules import broken_rules
from tests.support.row_comparisons import unbounded_comparisons
from tests.support.sent_statements import sent_statements
from tests.support.turn_checks import at_once


async def use_worlds_and_stories(livingworld: LivingWorld, world: World) -> None:
    """Call every method of worlds and stories that talks to the database, but for the purges."""
    await livingworld.worlds.update(world.id, expected_version=1, name="Fen")
    await livingworld.worlds.archive(world.id)
    await livingworld.worlds.restore(world.id)
    await livingworld.worlds.list(include_archived=True)
    for _ in range(2):
        await livingworld.worlds.get_or_create("channel")
        await livingworld.worlds.create("Fen", request_key="1")
        await world.stories.create("The Causeway", request_key="create")
        await world.stories.get_or_create("save")
        await world.characters.get_or_create("Ada", key="account")
    story = await world.stories.create("The Causeway")
    await world.stories.append_scene(story.id, NewScene("one", ["on"], ["Mara"]), request_key="1")
    await world.stories.append_scene(story.id, NewScene("one", ["on"], ["Mara"]), request_key="1")
    await world.stories.head(story.id, branch=1)
    await world.stories.recent(story.id, 3, branch=1)
    await world.stories.scenes(story.id)
    await world.stories.all_scenes(story.id)
    await world.stories.characters(story.id)
    await world.stories.raw_response(story.id, 1)
    await world.stories.edit_scene(story.id, 1, expected_version=1, content="uno")
    await world.stories.revisions(story.id, scene_number=1)
    await world.stories.update(story.id, expected_version=1, title="x")
    await world.stories.list()
    await world.stories.archive(story.id)
    await world.stories.restore(story.id)


async def use_turns_and_branches(world: World) -> None:
    """Call every method of turns, generations and branches."""
    story = await world.stories.create("The Causeway")
    async with world.turns.take(story.id, request_key="1") as turn:
        await turn.record("raw")
        await turn._renew()
        await turn.commit(NewScene("one", ["on"], ["Mara", "Tom"]))
    async with world.turns.regenerate(story.id, request_key="2") as turn:
        await turn.commit(NewScene("one, regenerated"))
    with contextlib.suppress(ZeroDivisionError):
        async with world.turns.take(story.id, request_key="3") as turn:
            raise ZeroDivisionError
    async with world.turns.take(story.id, request_key="4") as turn:
        waiting = [
            asyncio.create_task(world.turns.play(story.id, at_once(key), request_key=key, busy="merge", combine=max_of))
            for key in ("5", "6")
        ]
        await asyncio.sleep(0.1)
        waiting.pop().cancel()
        await turn.commit(NewScene("two"))
    await asyncio.gather(*waiting)
    await use_generations_and_branches(world, story)


async def use_generations_and_branches(world: World, story: Story) -> None:
    """Call every method of generations and branches in a story with two scenes, the first told twice."""
    for each in await world.generations.alternatives(story.id, 1):
        await world.generations.choose((await world.generations.get(each.id)).id)
    assert [line async for line in world.generations.preferences(story.id)] == []
    await world.branches.undo(story.id, 2)
    await world.branches.redo(story.id)
    await world.branches.rewind(story.id, 1)
    fork = await world.branches.fork(story.id, "fork", at=1)
    await world.branches.rename(story.id, fork.number, "way")
    await world.branches.switch(story.id, fork.number)
    await world.branches.switch(story.id, 1)
    await world.branches.delete(story.id, fork.number)
    await world.branches.list(story.id)
    await world.branches.tree(story.id)


def max_of(_: TurnInput, new: TurnInput) -> TurnInput:
    """Return the newer input."""
    return new


async def use_world_state(world: World) -> None:
    """Call every method of facts, relationships and memories."""
    story = await world.stories.create("The Causeway")
    (mara, _), (tom, _) = await world.characters.get_or_create_many(["Mara", "Tom"])
    await world.memories.use_embedder("e", 2)
    async with world.turns.take(story.id, request_key="1") as turn:
        felt = [RelationshipChange("Mara", tom.id, trust=0.1)]
        state = NewState(facts={(Subject("a"), "b"): 1}, relationships=felt, memories=[NewMemory("x", "Mara")])
        await turn.commit(NewScene("one", (), ["Mara"]), state)
    fact = await world.facts.set(story.id, Subject("lamp"), "lit", "no")
    await world.facts.set_many(story.id, {(Subject("lamp"), "oil"): 1})
    await world.facts.compare_and_set(story.id, Subject("lamp"), "lit", "yes", expected_version=fact.version)
    await world.facts.retract(story.id, Subject("lamp"), "lit")
    await world.facts.get(story.id, Subject("lamp"), "lit")
    await world.facts.all(story.id, Subject("lamp"), as_of=1)
    await world.facts.history(story.id, Subject("lamp"), "lit")
    await world.relationships.adjust(story.id, mara.id, tom.id, trust=0.1)
    await world.relationships.between(story.id, mara.id, tom.id)
    await world.relationships.of(story.id, tom.id)
    await world.relationships.graph(story.id)
    await world.relationships.ledger(story.id, mara.id, tom.id)
    await use_memories(world, story, mara.id)


async def use_memories(world: World, story: Story, who: UUID) -> None:
    """Call every method of memories."""
    added = await world.memories.add(
        story.id, [NewMemory("a", who), NewMemory("b", who, vector=[1.0, 0.0], embedder="e")]
    )
    ids = [memory.id for memory, _ in added]
    await world.memories.get(ids[0])
    await world.memories.update(ids[0], expected_version=1, importance=1)
    await world.memories.update(ids[0], expected_version=2, content="Hail.")
    await world.memories.list(story.id)
    await world.memories.list(story.id, character=who)
    await world.memories.recall(story.id, [1.0, 0.0], text="a", character=who)
    await world.memories.recent(story.id)
    await world.memories.consolidate(story.id, ids, NewMemory("a and b", who))
    await world.memories.forget(ids)


async def use_lore_and_search(world: World) -> None:
    """Call every method of lore and search."""
    entry = await world.lore.add(NewLoreEntry("The lamp.", ["lamp"]))
    await world.lore.get(entry.id)
    await world.lore.update(entry.id, expected_version=1, title="Lamp")
    await world.lore.match("a lamp", books=["lore"])
    page = await world.search.find("lamp OR x", limit=1)
    await world.search.find("lamp OR x", after=page.next)
    await world.lore.list(book="lore", include_disabled=False)
    await world.lore.books()
    await world.lore.remove(entry.id, expected_version=2)
    await world.lore.restore(entry.id, 1, expected_version=3)
    await world.lore.revisions(entry.id)


async def use_embeddings(world: World) -> None:
    """Embed texts that nobody knows yet, and then those that are known."""
    for _ in range(2):
        await world.embeddings(HashingEmbedder()).embed(["The lantern.", "The boat."])
    embeddings = world.memory_embeddings(HashingEmbedder())
    await embeddings.use()
    story = await world.stories.create("The Causeway")
    await world.memories.add(story.id, [NewMemory("The lantern.")])
    await embeddings.run_all()
    await embeddings.recall(story.id, "The boat.")


async def use_documents(world: World) -> None:
    """Call every method of documents."""
    documents = world.documents
    await documents.compare_and_set("a", {}, expected_version=0)
    await documents.compare_and_set("a", {}, expected_version=1)
    await documents.update("a", lambda value: value)
    await documents.update("b", lambda value: value, default=1)
    await documents.increment("b")
    await documents.increment("a", field="gold")
    for expected in (ABSENT, 1):
        await documents.set_if("c", 1, expected=expected)
        await documents.set_if("a", 1, expected=expected, field="gold")
    await documents.merge("a", base_version=1, changes={"x": 1}, strategy="manual")
    await documents.read("a")
    await documents.find("a")
    await documents.at("a", 1)
    await documents.history("a", after="1")
    await documents.list(prefix="a", after="a")
    async for _ in documents.watch("a"):
        break


async def use_characters_and_transactions(livingworld: LivingWorld, world: World) -> None:
    """Call every method of characters and transactions, and the purges."""
    story = await world.stories.create("The Causeway")
    await world.stories.append_scene(story.id, NewScene("one", ["on"], ["Mara"]))
    mara, _ = await world.characters.get_or_create("MARA")
    await world.characters.get(mara.id)
    await world.characters.add_alias(mara.id, "The lamplighter")
    await world.characters.update(mara.id, expected_version=1, name="Mara Vale")
    await world.characters.list()
    await world.characters.get_many([mara.id])
    await world.characters.revisions(mara.id)
    async with world.transaction() as tx:
        await tx.stories.lock(story.id)
        await tx.stories.append_scene(story.id, NewScene("two", (), ["Tom"]))

    async def work(tx: Any) -> int:  # noqa: ANN401 - a TransactionScope
        return (await tx.stories.get(story.id)).scene_count  # type: ignore[no-any-return]

    assert await world.run(work, request_key="k") == 2
    await world.stories.purge(story.id)
    await livingworld.worlds.purge(world.id)


async def statements_of_every_call(livingworld: LivingWorld, world: World, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the statements on our tables that all calls send."""
    background = livingworld.worlds._process.background._engine
    sent = sent_statements(monkeypatch, engine_of(livingworld), background)

    await use_worlds_and_stories(livingworld, world)
    await use_turns_and_branches(world)
    await use_world_state(world)
    await use_lore_and_search(world)
    await use_locks_and_leases(world)
    await use_cycles(world)
    await use_scripts(world)
    await use_embeddings(world)
    await use_documents(world)
    await use_sessions(world)
    await use_actions(world)
    await use_ai_models(world)
    await use_live(world)
    await use_characters_and_transactions(livingworld, world)

    return {statement for statement in sent if "livingworld." in statement or "advisory" in statement}


async def test_every_statement_stays_on_its_shard_and_reads_no_further_than_its_answer(
    livingworld: LivingWorld, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = await statements_of_every_call(livingworld, world, monkeypatch)
    assert len(ours) > 70
    broken = {statement: rules for statement in ours if (rules := broken_rules(statement))}
    of_all_worlds = [statement for statement in broken if "JOIN livingworld.live_streams" in statement]
    assert {statement: broken[statement] for statement in broken if statement not in of_all_worlds} == {}
    assert len(of_all_worlds) == 1, "the last numbers of the streams that a process follows"
    assert len([statement for statement in ours if ") < (" in statement or ") >= (" in statement]) > 3
    assert {statement: found for statement in ours if (found := unbounded_comparisons(statement))} == {}

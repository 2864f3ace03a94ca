"""A world with something of every part in it, and every write to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

from livingworld import (
    Action,
    AIModel,
    Character,
    LivingWorld,
    LoreEntry,
    Memory,
    NewAction,
    NewLoreEntry,
    NewMemory,
    NewSample,
    NewScene,
    NewState,
    Presence,
    Session,
    Story,
    Task,
    TransactionScope,
    World,
)
from livingworld.testing.hashing_embedder import HashingEmbedder
from tests.support.bundle_of_nothing import bundle_of_no_scene

#: The embedder that characters have vectors of.
FORMER: Final = HashingEmbedder(8)
#: One that nothing has vectors of.
NEW: Final = HashingEmbedder(16)


@dataclass
class Furnished:
    """A world, and one thing of each part."""

    livingworld: LivingWorld
    world: World
    story: Story
    mara: Character
    tom: Character
    memory: Memory
    entry: LoreEntry
    session: Session
    task: Task
    waiting: Action
    claimed: Action
    staged: AIModel
    presence: Presence


async def furnish(livingworld: LivingWorld) -> Furnished:
    """Make a world with something in every table that a write can be about."""
    world = await livingworld.worlds.create("Doomed")
    story = await world.stories.create("The end")
    await world.stories.append_scene(story.id, NewScene("One.", ["On"], cast=["Mara", "Tom"]))
    await world.stories.append_scene(story.id, NewScene("Two.", chosen_choice=1))
    await world.branches.fork(story.id, "aside", at=1)
    (mara, _), (tom, _) = await world.characters.get_or_create_many(["Mara", "Tom"])
    await world.facts.set(story.id, "Mara", "mood", "calm")
    ((memory, _),) = await world.memories.add(story.id, [NewMemory("It rained.", mara.id)])
    await world.documents.compare_and_set("flags", {"on": 1}, expected_version=0)
    entry = await world.lore.add(NewLoreEntry("It turns."))
    session = await world.sessions.open(context={"at": "home"})
    await world.interactions.add(session.id, "Hello")
    task = await world.tasks.create_unless_running(session.id, "tell")
    for body in ("Hello", "Good day"):
        await world.scripts.publish("greeting", body, kind="plain")
    waiting, claimed = await _actions(world)
    staged = await _models(world)
    presence = await world.presence.join("mara", session=session.id)
    await world.text_embeddings(FORMER).run_once(2)
    things = (story, mara, tom, memory, entry, session, task, waiting, claimed, staged, presence)
    return Furnished(livingworld, world, *things)


async def _actions(world: World) -> tuple[Action, Action]:
    """Return an action that waits and one that runs."""
    await world.actions.enqueue("claimed", "walk")
    (claimed,) = await world.actions.claim(ttl=timedelta(minutes=5))
    return await world.actions.enqueue("waiting", "walk"), claimed


async def _models(world: World) -> AIModel:
    """Let two models have been in service, and return a third one that could be."""
    models = [await world.ai_models.register("narrator", provider="local", name=name) for name in "abc"]
    for model in models:
        await world.ai_models.mark_validated(model.id)
    for model in models[:2]:
        await world.ai_models.promote(model.id)
    return models[2]


async def take_a_turn(there: Furnished) -> object:
    async with there.world.turns.take(there.story.id, request_key="last") as turn:
        return await turn.commit(NewScene("Three.", cast=["Ada"]), NewState(facts={("Mara", "mood"): "glad"}))


async def take_a_turn_with_an_effect(there: Furnished) -> object:
    async def work(tx: TransactionScope) -> None:
        await tx.documents.increment("turns")

    async with there.world.turns.take(there.story.id, request_key="effect") as turn:
        async with turn.call("planner") as call:
            call.answer("Go on.")
        return await turn.commit(NewScene("Three.", cast=["Ada"]), effect=work)


async def hold_a_lease(there: Furnished) -> None:
    async with there.world.leases.hold("tide"):
        pass


async def run_a_cycle(there: Furnished) -> None:
    async def phase(_: object) -> None: ...

    await there.world.cycles.run("tide", {"plan": phase})


async def run_a_script(there: Furnished) -> None:
    async with there.world.scripts.use("greeting"):
        pass


Write: TypeAlias = Callable[[Furnished], Awaitable[object]]

#: By the name that a failure tells.
WRITES: Final[dict[str, Write]] = {
    "worlds.update": lambda at: at.livingworld.worlds.update(at.world.id, expected_version=1, name="Saved"),
    "worlds.archive": lambda at: at.livingworld.worlds.archive(at.world.id),
    "worlds.purge": lambda at: at.livingworld.worlds.purge(at.world.id),
    "stories.create": lambda at: at.world.stories.create("Too late"),
    "stories.create, key": lambda at: at.world.stories.create("Too late", request_key="new"),
    "stories.get_or_create": lambda at: at.world.stories.get_or_create("save"),
    "stories.update": lambda at: at.world.stories.update(at.story.id, expected_version=1, title="x"),
    "stories.archive": lambda at: at.world.stories.archive(at.story.id),
    "stories.purge": lambda at: at.world.stories.purge(at.story.id),
    "stories.append_scene": lambda at: at.world.stories.append_scene(at.story.id, NewScene("Three.", cast=["Ada"])),
    "stories.append_scene, key": lambda at: at.world.stories.append_scene(at.story.id, NewScene("3"), request_key="k"),
    "stories.edit_scene": lambda at: at.world.stories.edit_scene(at.story.id, 1, expected_version=1, content="x"),
    "stories.edit_scene, cast": lambda at: at.world.stories.edit_scene(
        at.story.id, 1, expected_version=1, choices=["On"], cast=["Ada"]
    ),
    "branches.fork": lambda at: at.world.branches.fork(at.story.id, "new", at=1),
    "branches.fork, key": lambda at: at.world.branches.fork(at.story.id, "new", at=1, request_key="fork"),
    "branches.undo": lambda at: at.world.branches.undo(at.story.id),
    "branches.switch": lambda at: at.world.branches.switch(at.story.id, 2),
    "branches.rename": lambda at: at.world.branches.rename(at.story.id, 2, "new"),
    "branches.delete": lambda at: at.world.branches.delete(at.story.id, 2),
    "erase": lambda at: at.world.erase(player="mara"),
    "turns.take": take_a_turn,
    "turns.take, effect": take_a_turn_with_an_effect,
    "characters.get_or_create": lambda at: at.world.characters.get_or_create("Ada"),
    "characters.get_or_create, key": lambda at: at.world.characters.get_or_create("Ada", key="account"),
    "characters.update": lambda at: at.world.characters.update(at.mara.id, expected_version=1, name="Maria"),
    "characters.add_alias": lambda at: at.world.characters.add_alias(at.mara.id, "The lamplighter"),
    "facts.set": lambda at: at.world.facts.set(at.story.id, "Mara", "mood", "glad"),
    "facts.retract": lambda at: at.world.facts.retract(at.story.id, "Mara", "mood"),
    "relationships.adjust": lambda at: at.world.relationships.adjust(at.story.id, at.mara.id, at.tom.id, trust=0.1),
    "relationships.get_or_create": lambda at: at.world.relationships.get_or_create(
        at.story.id, "Tom", "Mara", trust=0.1
    ),
    "memories.add": lambda at: at.world.memories.add(at.story.id, [NewMemory("It snowed.", at.mara.id)]),
    "memories.consolidate": lambda at: at.world.memories.consolidate(
        at.story.id, [at.memory.id], NewMemory("Weather.", at.mara.id)
    ),
    "memories.update": lambda at: at.world.memories.update(at.memory.id, expected_version=1, importance=1),
    "memories.update, content": lambda at: at.world.memories.update(at.memory.id, expected_version=1, content="Hail."),
    "memories.forget": lambda at: at.world.memories.forget([at.memory.id]),
    "memories.use_embedder": lambda at: at.world.memories.use_embedder("hash", 8),
    "memory_embeddings.use": lambda at: at.world.memory_embeddings(NEW).use(),
    "memory_embeddings.run_once": lambda at: at.world.memory_embeddings(NEW).run_once(),
    "memory_embeddings.run_all": lambda at: at.world.memory_embeddings(NEW).run_all(),
    "text_embeddings.run_once": lambda at: at.world.text_embeddings(NEW).run_once(2),
    "text_embeddings.run_all": lambda at: at.world.text_embeddings(NEW).run_all(),
    "text_embeddings.remove": lambda at: at.world.text_embeddings(FORMER).remove(),
    "import_story": lambda at: at.world.import_story(bundle_of_no_scene()),
    "documents.compare_and_set": lambda at: at.world.documents.compare_and_set("flags", 2, expected_version=1),
    "documents.compare_and_set, new": lambda at: at.world.documents.compare_and_set("new", 2, expected_version=0),
    "documents.set": lambda at: at.world.documents.set("flags", 2),
    "documents.set, new": lambda at: at.world.documents.set("new", 2),
    "documents.delete": lambda at: at.world.documents.delete("flags"),
    "documents.delete, version": lambda at: at.world.documents.delete("flags", expected_version=1),
    "documents.update": lambda at: at.world.documents.update("flags", lambda _: {"on": 0}),
    "documents.increment": lambda at: at.world.documents.increment("flags", field="on"),
    "documents.increment, new": lambda at: at.world.documents.increment("counter"),
    "documents.set_if": lambda at: at.world.documents.set_if("flags", {"on": 3}, expected={"on": 1}),
    "lore.add": lambda at: at.world.lore.add(NewLoreEntry("Too late.")),
    "lore.add, key": lambda at: at.world.lore.add(NewLoreEntry("Too late."), request_key="lore"),
    "lore.update": lambda at: at.world.lore.update(at.entry.id, expected_version=1, content="x"),
    "lore.remove": lambda at: at.world.lore.remove(at.entry.id, expected_version=1),
    "search.index": lambda at: at.world.search.index(),
    "sessions.open": lambda at: at.world.sessions.open(),
    "sessions.open, key": lambda at: at.world.sessions.open(request_key="open"),
    "sessions.get_or_create": lambda at: at.world.sessions.get_or_create("channel"),
    "sessions.heartbeat": lambda at: at.world.sessions.heartbeat(at.session.id),
    "sessions.set_context": lambda at: at.world.sessions.set_context(at.session.id, {}, expected_version=1),
    "sessions.merge_context": lambda at: at.world.sessions.merge_context(at.session.id, {"at": "sea"}),
    "sessions.clear": lambda at: at.world.sessions.clear(at.session.id),
    "sessions.close": lambda at: at.world.sessions.close(at.session.id),
    "sessions.expire": lambda at: at.world.sessions.expire(timedelta(0)),
    "interactions.add": lambda at: at.world.interactions.add(at.session.id, "Hello?"),
    "interactions.add, record": lambda at: at.world.interactions.add(at.session, "Hello?"),
    "interactions.add, key": lambda at: at.world.interactions.add(at.session, "Hello?", request_key="exchange"),
    "interactions.update": lambda at: at.world.interactions.update(at.session.id, 1, expected_version=1, response="x"),
    "interactions.clear": lambda at: at.world.interactions.clear(at.session.id),
    "tasks.create_unless_running": lambda at: at.world.tasks.create_unless_running(at.session.id, "draw"),
    "tasks.cancel": lambda at: at.world.tasks.cancel(at.task.id),
    "tasks.heartbeat": lambda at: at.world.tasks.heartbeat(at.task),
    "tasks.finish": lambda at: at.world.tasks.finish(at.task),
    "tasks.take_over": lambda at: at.world.tasks.take_over(at.task.id),
    "tasks.fail_dead": lambda at: at.world.tasks.fail_dead(),
    "actions.enqueue": lambda at: at.world.actions.enqueue("waiting", "walk"),
    "actions.enqueue, new lane": lambda at: at.world.actions.enqueue("new", "walk"),
    "actions.enqueue, policy": lambda at: at.world.actions.enqueue("waiting", "walk", conflict="replace"),
    "actions.enqueue, policy, new lane": lambda at: at.world.actions.enqueue("new", "walk", conflict="replace"),
    "actions.enqueue, key": lambda at: at.world.actions.enqueue("waiting", "walk", request_key="action"),
    "actions.enqueue_many": lambda at: at.world.actions.enqueue_many([NewAction("a", "x"), NewAction("waiting", "x")]),
    "actions.claim": lambda at: at.world.actions.claim(),
    "actions.complete": lambda at: at.world.actions.complete(at.claimed),
    "actions.fail": lambda at: at.world.actions.fail(at.claimed, "no"),
    "actions.release": lambda at: at.world.actions.release(at.claimed),
    "actions.extend": lambda at: at.world.actions.extend(at.claimed),
    "actions.cancel": lambda at: at.world.actions.cancel(at.waiting.id),
    "actions.limit_lane": lambda at: at.world.actions.limit_lane("waiting", 3),
    "actions.forget": lambda at: at.world.actions.forget("waiting", ended_for=timedelta(0)),
    "scripts.publish": lambda at: at.world.scripts.publish("greeting", "Good evening", kind="plain"),
    "scripts.publish, new": lambda at: at.world.scripts.publish("farewell", "Bye", kind="plain"),
    "scripts.activate": lambda at: at.world.scripts.activate("greeting", 1),
    "scripts.rollback": lambda at: at.world.scripts.rollback("greeting"),
    "scripts.retire": lambda at: at.world.scripts.retire("greeting", 1),
    "scripts.use": run_a_script,
    "ai_models.register": lambda at: at.world.ai_models.register("narrator", provider="local", name="late"),
    "ai_models.register, new role": lambda at: at.world.ai_models.register("judge", provider="local", name="late"),
    "ai_models.register, key": lambda at: at.world.ai_models.register(
        "narrator", provider="local", name="late", request_key="model"
    ),
    "ai_models.promote": lambda at: at.world.ai_models.promote(at.staged.id),
    "ai_models.rollback": lambda at: at.world.ai_models.rollback("narrator"),
    "ai_models.samples.add_many": lambda at: at.world.ai_models.samples.add_many(
        [NewSample(role="narrator", input="in", output="out")]
    ),
    "live.publish": lambda at: at.world.live.publish("typing", {"by": "tom"}, story=at.story.id),
    "live.publish, world": lambda at: at.world.live.publish("typing", {"by": "tom"}),
    "presence.join": lambda at: at.world.presence.join("tom", story=at.story.id),
    "presence.join, world": lambda at: at.world.presence.join("tom"),
    "presence.leave": lambda at: at.world.presence.leave(at.presence.id),
    "presence.heartbeat": lambda at: at.world.presence.heartbeat(at.presence.id),
    "presence.expire": lambda at: at.world.presence.expire(),
    "leases.hold": hold_a_lease,
    "cycles.run": run_a_cycle,
    "cycles.request_stop": lambda at: at.world.cycles.request_stop("tide"),
}
#: These are transactions of their own.
ALONE: Final[frozenset[str]] = frozenset(
    {
        "worlds.update",
        "worlds.archive",
        "worlds.purge",
        "erase",
        "memory_embeddings.use",
        "memory_embeddings.run_once",
        "memory_embeddings.run_all",
        "text_embeddings.run_once",
        "text_embeddings.run_all",
        "text_embeddings.remove",
        "import_story",
        "turns.take",
        "turns.take, effect",
        "search.index",
        "scripts.publish",
        "scripts.publish, new",
        "scripts.retire",
        "scripts.use",
        "presence.join",
        "presence.join, world",
        "presence.leave",
        "presence.heartbeat",
        "presence.expire",
        "leases.hold",
        "cycles.run",
        "cycles.request_stop",
    }
)

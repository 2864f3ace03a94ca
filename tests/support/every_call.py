"""A call of everything that a world offers, to be made with other arguments, through other pools and with faults."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import is_dataclass, replace
from datetime import timedelta
from io import BytesIO
from typing import Any, Final, TypeAlias, cast

from livingworld import (
    CastMember,
    ConflictPolicy,
    NewAction,
    NewLoreEntry,
    NewMemory,
    NewSample,
    NewScene,
    NewState,
    RecallWeights,
    RelationshipChange,
    Rule,
    Subject,
)
from livingworld.identifiers import new_id
from livingworld.testing.hashing_embedder import HashingEmbedder
from tests.support.bundle_of_nothing import bundle_of_nothing
from tests.support.every_write import FORMER, NEW, WRITES, Furnished
from tests.support.patience import patiently


async def do_nothing(*_: object) -> Any:  # noqa: ANN401 - whatever is asked of it
    """Stand for any function that somebody gives."""


async def tell(_: object) -> NewScene:
    """Stand for a model that tells a turn."""
    return NewScene("Nothing happens.")


async def commit_with(there: Furnished, state: NewState) -> None:
    """Commit a turn with what becomes true."""
    async with there.world.turns.take(there.story.id, request_key=str(new_id())) as turn:
        await turn.commit(NewScene("x"), state)


#: By path, as in `world.<path>`; a call gives what is awaited, iterated or entered.
CALLS: Final[dict[str, Callable[[Furnished], Any]]] = {
    **WRITES,
    "worlds.get": lambda at: at.livingworld.worlds.get(at.world.id),
    "worlds.list": lambda at: at.livingworld.worlds.list(),
    "worlds.create": lambda at: at.livingworld.worlds.create("x"),
    "worlds.get_or_create": lambda at: at.livingworld.worlds.get_or_create("x"),
    "worlds.find_by_key": lambda at: at.livingworld.worlds.find_by_key("x"),
    "worlds.export_bundle": lambda at: at.livingworld.worlds.export_bundle(at.world.id, BytesIO()),
    "export_story": lambda at: at.world.export_story(at.story.id, BytesIO()),
    "token": lambda at: at.world.token(),
    "worlds.import_bundle": lambda at: at.livingworld.worlds.import_bundle(bundle_of_nothing(), as_world=new_id()),
    "worlds.restore": lambda at: at.livingworld.worlds.restore(at.world.id),
    "stories.get": lambda at: at.world.stories.get(at.story.id),
    "stories.find_by_key": lambda at: at.world.stories.find_by_key("save"),
    "stories.list": lambda at: at.world.stories.list(),
    "stories.restore": lambda at: at.world.stories.restore(at.story.id),
    "stories.lock": lambda at: at.world.stories.lock(at.story.id),
    "stories.head": lambda at: at.world.stories.head(at.story.id),
    "stories.scene": lambda at: at.world.stories.scene(at.story.id, 1),
    "stories.scenes": lambda at: at.world.stories.scenes(at.story.id),
    "stories.all_scenes": lambda at: at.world.stories.all_scenes(at.story.id),
    "stories.characters": lambda at: at.world.stories.characters(at.story.id),
    "stories.recent": lambda at: at.world.stories.recent(at.story.id, 2),
    "stories.raw_response": lambda at: at.world.stories.raw_response(at.story.id, 1),
    "stories.revisions": lambda at: at.world.stories.revisions(at.story.id),
    "branches.list": lambda at: at.world.branches.list(at.story.id),
    "branches.tree": lambda at: at.world.branches.tree(at.story.id),
    "branches.rewind": lambda at: at.world.branches.rewind(at.story.id, to=1),
    "branches.redo": lambda at: at.world.branches.redo(at.story.id),
    "turns.take": lambda at: at.world.turns.take(at.story.id, request_key="k"),
    "turns.take, effect": lambda at: at.world.turns.take(at.story.id, request_key="effect"),
    "turns.regenerate": lambda at: at.world.turns.regenerate(at.story.id, request_key="k"),
    "turns.get": lambda at: at.world.turns.get(at.story.id, "k"),
    "turns.of": lambda at: at.world.turns.of(at.story.id, branch=1, player="ada"),
    "turns.tree": lambda at: at.world.turns.tree(at.story.id, "k"),
    "turns.usage": lambda at: at.world.turns.usage(["turn"], story_id=at.story.id),
    "generations.of": lambda at: at.world.generations.of(at.story.id),
    "generations.get": lambda at: at.world.generations.get(at.story.id),
    "generations.choose": lambda at: at.world.generations.choose(at.story.id),
    "generations.alternatives": lambda at: at.world.generations.alternatives(at.story.id, 1),
    "characters.get_or_create_many": lambda at: at.world.characters.get_or_create_many(["Ada"]),
    "characters.find": lambda at: at.world.characters.find("Mara"),
    "characters.find_by_key": lambda at: at.world.characters.find_by_key("account"),
    "characters.get": lambda at: at.world.characters.get(at.mara.id),
    "characters.get_many": lambda at: at.world.characters.get_many([at.mara.id]),
    "characters.list": lambda at: at.world.characters.list(),
    "characters.revisions": lambda at: at.world.characters.revisions(at.mara.id),
    "facts.set_many": lambda at: at.world.facts.set_many(at.story.id, {("Mara", "mood"): 1}),
    "facts.compare_and_set": lambda at: at.world.facts.compare_and_set(
        at.story.id, Subject("tide"), "height", 1, expected_version=0
    ),
    "facts.get": lambda at: at.world.facts.get(at.story.id, "Mara", "mood"),
    "facts.all": lambda at: at.world.facts.all(at.story.id),
    "facts.history": lambda at: at.world.facts.history(at.story.id, "Mara", "mood"),
    "relationships.adjust_many": lambda at: at.world.relationships.adjust_many(
        at.story.id, [RelationshipChange(at.mara.id, at.tom.id)]
    ),
    "relationships.between": lambda at: at.world.relationships.between(at.story.id, at.mara.id, at.tom.id),
    "relationships.of": lambda at: at.world.relationships.of(at.story.id, at.mara.id),
    "relationships.graph": lambda at: at.world.relationships.graph(at.story.id),
    "relationships.ledger": lambda at: at.world.relationships.ledger(at.story.id, at.mara.id, at.tom.id),
    "memories.get": lambda at: at.world.memories.get(at.memory.id),
    "memories.list": lambda at: at.world.memories.list(at.story.id),
    "memories.recall": lambda at: at.world.memories.recall(at.story.id, "rain"),
    "memories.recent": lambda at: at.world.memories.recent(at.story.id),
    "documents.read": lambda at: at.world.documents.read("flags"),
    "documents.find": lambda at: at.world.documents.find("flags"),
    "documents.list": lambda at: at.world.documents.list(),
    "documents.history": lambda at: at.world.documents.history("flags"),
    "documents.at": lambda at: at.world.documents.at("flags", 1),
    "documents.merge": lambda at: at.world.documents.merge(
        "flags", base_version=1, changes={"on": 2}, strategy="last_write_wins"
    ),
    "lore.add_many": lambda at: at.world.lore.add_many([]),
    "lore.get": lambda at: at.world.lore.get(at.entry.id),
    "lore.list": lambda at: at.world.lore.list(),
    "lore.books": lambda at: at.world.lore.books(),
    "lore.restore": lambda at: at.world.lore.restore(at.entry.id, 1, expected_version=1),
    "lore.revisions": lambda at: at.world.lore.revisions(at.entry.id),
    "lore.match": lambda at: at.world.lore.match("tide"),
    "search.find": lambda at: at.world.search.find("tide"),
    "search.backlog": lambda at: at.world.search.backlog(),
    "sessions.find_by_key": lambda at: at.world.sessions.find_by_key("channel"),
    "sessions.list": lambda at: at.world.sessions.list(),
    "sessions.get": lambda at: at.world.sessions.get(at.session.id),
    "sessions.sweeping": lambda at: at.world.sessions.sweeping(idle_for=timedelta(hours=1)),
    "live.snapshot": lambda at: at.world.live.snapshot(do_nothing, story=at.story.id),
    "presence.list": lambda at: at.world.presence.list(story=at.story.id),
    "presence.connected": lambda at: at.world.presence.connected("tom", story=at.story.id),
    "presence.sweeping": lambda at: at.world.presence.sweeping(),
    "interactions.get": lambda at: at.world.interactions.get(at.session.id, 1),
    "interactions.list": lambda at: at.world.interactions.list(at.session.id),
    "interactions.recent": lambda at: at.world.interactions.recent(at.session.id),
    "tasks.get": lambda at: at.world.tasks.get(at.task.id),
    "tasks.of_session": lambda at: at.world.tasks.of_session(at.session.id),
    "tasks.progress": lambda at: at.world.tasks.progress(at.task, 1),
    "tasks.fail": lambda at: at.world.tasks.fail(at.task, "no"),
    "tasks.stop": lambda at: at.world.tasks.stop(at.task),
    "tasks.hand_on": lambda at: at.world.tasks.hand_on(at.task),
    "tasks.take_over_dead": lambda at: at.world.tasks.take_over_dead(),
    "tasks.running": lambda at: at.world.tasks.running(at.session.id, "draw"),
    "tasks.taking_over": lambda at: at.world.tasks.taking_over(do_nothing),
    "actions.stop": lambda at: at.world.actions.stop(at.claimed),
    "actions.expire": lambda at: at.world.actions.expire(at.claimed),
    "actions.get": lambda at: at.world.actions.get(at.claimed.id),
    "actions.size": lambda at: at.world.actions.size(),
    "actions.peek": lambda at: at.world.actions.peek("waiting"),
    "actions.commands": lambda at: at.world.actions.commands("waiting"),
    "scripts.publish_all": lambda at: at.world.scripts.publish_all([]),
    "scripts.get": lambda at: at.world.scripts.get("greeting"),
    "scripts.list": lambda at: at.world.scripts.list(),
    "scripts.versions": lambda at: at.world.scripts.versions("greeting"),
    "scripts.following": lambda at: at.world.scripts.following(),
    "scripts.use": lambda at: at.world.scripts.use("greeting"),
    "ai_models.get": lambda at: at.world.ai_models.get(at.staged.id),
    "ai_models.list": lambda at: at.world.ai_models.list("narrator"),
    "ai_models.active": lambda at: at.world.ai_models.active("narrator"),
    "ai_models.all_active": lambda at: at.world.ai_models.all_active(),
    "ai_models.mark_validated": lambda at: at.world.ai_models.mark_validated(at.staged.id),
    "ai_models.samples.list": lambda at: at.world.ai_models.samples.list("narrator"),
    "ai_models.collecting": lambda at: at.world.ai_models.collecting(),
    "cycles.history": lambda at: at.world.cycles.history("tide"),
    "cycles.status": lambda at: at.world.cycles.status("tide"),
    "cycles.run": lambda at: at.world.cycles.run("tide", {"plan": do_nothing}),
    "leases.hold": lambda at: at.world.leases.hold("tide"),
    "locks.exclusive": lambda at: at.world.locks.exclusive("tide"),
    "locks.shared": lambda at: at.world.locks.shared("tide"),
    "locks.try_exclusive": lambda at: at.world.locks.try_exclusive("tide"),
    "run": lambda at: at.world.run(do_nothing),
    "embeddings": lambda at: at.world.embeddings(HashingEmbedder()),
    "memory_embeddings": lambda at: at.world.memory_embeddings(NEW),
    "memory_embeddings.running": lambda at: at.world.memory_embeddings(NEW).running(),
    "memory_embeddings.recall": lambda at: at.world.memory_embeddings(NEW).recall(at.story.id, "rain", k=3),
    "text_embeddings": lambda at: at.world.text_embeddings(NEW),
    "text_embeddings.running": lambda at: at.world.text_embeddings(NEW).running(),
    "text_embeddings.find": lambda at: at.world.text_embeddings(FORMER).find(
        "Mara", kinds=["scene", "character"], story_id=at.story.id, k=3, min_similarity=0, candidates=9
    ),
    "documents.watch": lambda at: at.world.documents.watch("flags"),
    "turns.play": lambda at: at.world.turns.play(at.story.id, tell, request_key="k"),
    "generations.preferences": lambda at: at.world.generations.preferences(at.story.id),
    "tasks.beat": lambda at: at.world.tasks.beat(at.task),
    "tasks.wait_cancelled": lambda at: at.world.tasks.wait_cancelled(at.task),
    "tasks.owning": lambda at: at.world.tasks.owning(at.task),
    "actions.worker": lambda at: at.world.actions.worker({"walk": do_nothing}),
    "scripts.check": lambda at: at.world.scripts.check("tide", "It turns."),
    "scripts.register": lambda at: at.world.scripts.register("poem", str.strip),
    "ai_models.serving": lambda at: at.world.ai_models.serving({"narrator": do_nothing}, probe=do_nothing),
    "live.subscribe": lambda at: at.world.live.subscribe(story=at.story.id),
}

Made: TypeAlias = tuple[Callable[[Furnished], Any], Callable[[Furnished, Any], Awaitable[object]]]
#: What is made by the caller, and what it is made for.
OBJECTS: Final[dict[str, Made]] = {
    "NewScene": (
        lambda _: NewScene("x", ["a"], cast=["Ada"]),
        lambda at, x: at.world.stories.append_scene(at.story.id, x),
    ),
    "CastMember": (
        lambda _: CastMember("Mara"),
        lambda at, x: at.world.stories.append_scene(at.story.id, NewScene("x", cast=[x])),
    ),
    "NewState": (lambda _: NewState(facts={("Mara", "mood"): 1}), commit_with),
    "NewMemory": (
        lambda _: NewMemory("x", vector=(1.0, 0.0), embedder="small"),
        lambda at, x: at.world.memories.add(at.story.id, [x]),
    ),
    "NewLoreEntry": (lambda _: NewLoreEntry("x"), lambda at, x: at.world.lore.add(x)),
    "RelationshipChange": (
        lambda at: RelationshipChange(at.mara.id, at.tom.id),
        lambda at, x: at.world.relationships.adjust_many(at.story.id, [x]),
    ),
    "RecallWeights": (lambda _: RecallWeights(), lambda at, x: at.world.memories.recall(at.story.id, "x", weights=x)),
    "NewAction": (lambda _: NewAction("new", "walk"), lambda at, x: at.world.actions.enqueue_many([x])),
    "NewAction, policy": (
        lambda _: NewAction("new", "walk"),
        lambda at, x: at.world.actions.enqueue_many([x], conflict="merge"),
    ),
    "Rule": (
        lambda _: Rule("walk", "walk", "merge"),
        lambda at, x: at.world.actions.enqueue("waiting", "walk", conflict=ConflictPolicy((x,))),
    ),
    "ConflictPolicy": (
        lambda _: ConflictPolicy(),
        lambda at, x: at.world.actions.enqueue("waiting", "walk", conflict=x),
    ),
    "NewSample": (
        lambda _: NewSample(role="narrator", input="x", output="y"),
        lambda at, x: at.world.ai_models.samples.add_many([x]),
    ),
}


#: Each returns a part of a world, and begins nothing.
MAKERS: Final = {"memory_embeddings", "text_embeddings"}


class Recorder:
    """Stands for a part of a world, and remembers the calls of its methods instead of making them."""

    def __init__(self, part: object, calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]) -> None:
        self._part = part
        self._calls = calls

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the part has
        value = getattr(self._part, name)
        if callable(value):
            return lambda *args, **options: self._record(value, args, options)
        is_part = type(value).__module__.startswith("livingworld") and not is_dataclass(value)
        return Recorder(value, self._calls) if is_part else value

    def _record(self, method: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Recorder | None:
        """Note a call in place of the one that made its part; what makes a part is called."""
        self._calls[:] = [(method, args, options)]
        return Recorder(method(*args, **options), self._calls) if method.__name__ in MAKERS else None


def recorded(call: Callable[[Furnished], Any], there: Furnished) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the method that a call is about, and its arguments by name."""
    calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
    call(
        replace(
            there,
            world=cast("Any", Recorder(there.world, calls)),
            livingworld=cast("Any", Recorder(there.livingworld, calls)),
        )
    )
    ((method, args, options),) = calls
    bound = inspect.signature(method).bind(*args, **options)
    return method, {**dict(zip(bound.signature.parameters, bound.args, strict=False)), **bound.kwargs}


async def carry_out(call: Callable[[Furnished], Any], change: Mapping[str, object], there: Furnished) -> None:
    """Make a call with an argument changed, and enter and leave what it gives."""
    method, arguments = recorded(call, there)
    async with patiently():
        given = method(**{**arguments, **change})
        if hasattr(given, "__aenter__"):
            async with given:
                pass
        elif inspect.isawaitable(given):
            await given

"""The deeds whose effects are found again in the end and checked."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from livingworld import Action, NewScene, NewState, TransactionScope, TurnInput
from livingworld.story.turns.records import BusyPolicy
from livingworld.testing.history import Effect, Kind
from livingworld.testing.stress.stage import COUNTER, DOCUMENTS, LANES, LEASE, MARK, facts_of
from livingworld.testing.stress.writer import Deed, Writer

#: Shorter than a paused process is stopped.
TTL: Final = timedelta(seconds=2)
_BRIEF: Final = timedelta(seconds=1)
_NAMES: Final = ("Mara", "Tom", "Ife", "Wren")


async def append(writer: Writer) -> None:
    """Append a scene, with a request key or without."""
    story, value = writer.story(), writer.value()
    key = writer.chance.choice((None, value, value))
    scene = NewScene(value, ["On"], writer.chance.sample(_NAMES, 2))

    async def call() -> tuple[int]:
        return ((await writer.world.stories.append_scene(UUID(story), scene, request_key=key)).number,)

    await writer.ask("stories.append_scene", (Effect(Kind.APPEND, story, value),), call, key=key)


async def turn(writer: Writer) -> None:
    """Take a turn and commit a scene with a fact."""
    story, value = writer.story(), writer.value()
    policies: tuple[BusyPolicy, ...] = ("reject", "queue", "replace")
    busy = writer.chance.choice(policies)

    async def call() -> tuple[int, None]:
        taking = writer.world.turns.take(UUID(story), request_key=value, busy=busy, time_limit=_BRIEF)
        async with taking as taken:
            state = NewState(facts={(MARK, value): 1})
            return (taken.scene or await taken.commit(NewScene(value, ["On"]), state)).number, None

    effects = Effect(Kind.APPEND, story, value), Effect(Kind.APPEND, facts_of(story), value)
    await writer.ask("turns.take", effects, call, key=value)


async def merge(writer: Writer) -> None:
    """Take a turn whose input may become a part of another one's."""
    value = writer.value()

    def both(waiting: TurnInput, new: TurnInput) -> TurnInput:
        return TurnInput(instruction=f"{waiting.instruction} {new.instruction}")

    async def call() -> tuple[None]:
        story = UUID(writer.stage.merged)
        taking = writer.world.turns.take(
            story, request_key=value, instruction=value, busy="merge", combine=both, time_limit=_BRIEF
        )
        async with taking as taken:
            if taken.scene is None:
                await taken.commit(NewScene(taken.context.instruction or ""))
        return (None,)

    await writer.ask("turns.take", (Effect(Kind.APPEND, writer.stage.merged, value),), call, key=value)


async def unit(writer: Writer) -> None:
    """Write a scene, a document and an action in one transaction."""
    story, value, lane = writer.story(), writer.value(), writer.chance.choice(LANES)
    name = writer.chance.choice(DOCUMENTS)

    async def work(tx: TransactionScope) -> list[int]:
        scene = await tx.stories.append_scene(UUID(story), NewScene(value, ["On"]))
        document = await tx.documents.update(name, lambda _: {"value": value}, default={})
        await tx.actions.enqueue(lane, "walk", {"value": value})
        return [scene.number, document.version]

    async def call() -> tuple[int, int, None]:
        number, version = await writer.world.run(work, request_key=value, arguments={"value": value})
        return number, version, None

    effects = (Effect(Kind.APPEND, story, value), Effect(Kind.WRITE, name, value), Effect(Kind.ENQUEUE, lane, value))
    await writer.ask("run", effects, call, key=value)


async def compare_and_set(writer: Writer) -> None:
    """Read a document and write its next version."""
    name, value = writer.chance.choice(DOCUMENTS), writer.value()

    async def look() -> tuple[list[Any]]:
        found = await writer.world.documents.find(name)
        return ([0, None] if found is None else [found.version, found.value["value"]],)

    ((version, _),) = await writer.ask("documents.find", (Effect(Kind.LOOK, name),), look)

    async def call() -> tuple[int]:
        written = await writer.world.documents.compare_and_set(name, {"value": value}, expected_version=version)
        return (written.version,)

    await writer.ask("documents.compare_and_set", (Effect(Kind.WRITE, name, value),), call)


async def update(writer: Writer) -> None:
    """Write the next version of a document under its lock."""
    name, value = writer.chance.choice(DOCUMENTS), writer.value()

    async def call() -> tuple[int]:
        return ((await writer.world.documents.update(name, lambda _: {"value": value}, default={})).version,)

    await writer.ask("documents.update", (Effect(Kind.WRITE, name, value),), call)


async def increment(writer: Writer) -> None:
    """Add one to a counter."""

    async def call() -> tuple[int]:
        return ((await writer.world.documents.increment(COUNTER)).value,)

    await writer.ask("documents.increment", (Effect(Kind.ADD, COUNTER, 1),), call)


async def read_last(writer: Writer) -> None:
    """Read the newest scene of a story."""
    story = writer.story()

    async def call() -> tuple[list[Any]]:
        scene = (await writer.world.stories.head(UUID(story))).scene
        return ([0, None] if scene is None else [scene.number, scene.content],)

    await writer.ask("stories.head", (Effect(Kind.LAST, story),), call)


async def hold(writer: Writer) -> None:
    """Hold a lease, and write under it in a transaction that proves it."""
    async with AsyncExitStack() as stack:
        with writer.history.recording(writer.name, "leases.hold", Effect(Kind.GRANT, LEASE)) as answer:
            lease = await stack.enter_async_context(writer.world.leases.hold(LEASE, ttl=TTL))
            answer.results = (lease.token,)

        async def call() -> tuple[None]:
            async with writer.world.transaction() as tx:
                await tx.prove(lease)
                await tx.stories.append_scene(UUID(writer.stage.fenced), NewScene(str(lease.token)))
            return (None,)

        await writer.ask("write under a lease", (Effect(Kind.FENCED, LEASE, lease.token),), call)


async def enqueue(writer: Writer) -> None:
    """Queue an action."""
    lane, value = writer.chance.choice(LANES), writer.value()

    async def call() -> tuple[None]:
        await writer.world.actions.enqueue(lane, "walk", {"value": value})
        return (None,)

    await writer.ask("actions.enqueue", (Effect(Kind.ENQUEUE, lane, value),), call)


async def work(writer: Writer) -> None:
    """Claim what is next, and end each action with its effect."""
    with writer.history.recording(writer.name, "actions.claim") as answer:
        claimed = await writer.world.actions.claim(2, ttl=TTL)
        answer.effects = tuple(Effect(Kind.CLAIM, each.lane, each.payload["value"]) for each in claimed)
    for action in claimed:
        await _end(writer, action)


async def _end(writer: Writer, action: Action) -> None:
    value = action.payload["value"]

    async def call() -> tuple[None, int]:
        async with writer.world.transaction() as tx:
            scene = await tx.stories.append_scene(UUID(writer.stage.worked), NewScene(value))
            await tx.actions.complete(action)
        return None, scene.number

    effects = Effect(Kind.END, action.lane, value), Effect(Kind.APPEND, writer.stage.worked, value)
    await writer.ask("actions.complete", effects, call)


CHECKED: Final[tuple[Deed, ...]] = (
    append, turn, merge, unit, compare_and_set, update, increment, read_last, hold, enqueue, work, work,
)  # fmt: skip

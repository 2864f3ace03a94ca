"""The deeds without an effect that is checked: every other write, in the world beside, all at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from livingworld import NewAction, NewLoreEntry, NewMemory, NewSample, NewScene, Story, Subject, TransactionScope
from livingworld.testing.stress.carrying import CARRIERS
from livingworld.testing.stress.stage import ASIDE
from livingworld.testing.stress.writer import Deed, Writer

_NAMES: Final = ("Mara", "Tom", "Ife", "Wren")
_LONG: Final = timedelta(hours=1)
_NOW: Final = timedelta(0)


async def stories(writer: Writer) -> None:
    """Make a story, change it, and remove it."""
    rooms, value = writer.aside.stories, writer.value()
    story: Story = await writer.do("stories.create", rooms.create(value, request_key=value))
    await writer.do("stories.update", rooms.update(story.id, expected_version=1, title="Changed"))
    await writer.do("stories.append_scene", rooms.append_scene(story.id, NewScene(value)))
    await writer.do("stories.edit_scene", rooms.edit_scene(story.id, 1, expected_version=1, content="edited"))
    await writer.do("stories.archive", rooms.archive(story.id))
    await writer.do("stories.purge", rooms.purge(story.id))


async def branches(writer: Writer) -> None:
    """Move about in the tree of a story that all share."""
    rooms, value = writer.aside.branches, writer.value()
    story = await _shared(writer)
    await writer.aside.stories.append_scene(story, NewScene(value, ["On"]))
    fork = await writer.do("branches.fork", rooms.fork(story, value, at=1))
    await writer.do("branches.undo", rooms.undo(story))
    await writer.do("branches.redo", rooms.redo(story))
    await writer.do("branches.rename", rooms.rename(story, fork.number, f"{value}, again"))
    await writer.do("branches.switch", rooms.switch(story, 1))
    await writer.do("branches.delete", rooms.delete(story, fork.number))


async def state(writer: Writer) -> None:
    """Write what a story knows."""
    world, value = writer.aside, writer.value()
    story = await _shared(writer)
    one, other = writer.chance.sample(_NAMES, 2)
    first, _ = await writer.do("characters.get_or_create", world.characters.get_or_create(one))
    second, _ = await world.characters.get_or_create(other)
    await writer.do("facts.set", world.facts.set(story, Subject("lamp"), value, "lit"))
    await writer.do("facts.retract", world.facts.retract(story, Subject("lamp"), value))
    adjusting = world.relationships.adjust(story, first.id, second.id, trust=writer.chance.uniform(-0.2, 0.2))
    await writer.do("relationships.adjust", adjusting)
    making = world.relationships.get_or_create(story, second.id, first.id)
    await writer.do("relationships.get_or_create", making)
    adding = world.memories.add(story, [NewMemory(f"It rained {value}.", first.id)])
    ((memory, _),) = await writer.do("memories.add", adding)
    changing = world.memories.update(memory.id, expected_version=memory.version, content=f"Hail {value}.")
    await writer.do("memories.update", changing)
    summary = NewMemory(f"Weather {value}.", first.id)
    await writer.do("memories.consolidate", world.memories.consolidate(story, [memory.id], summary))
    await writer.do("memories.forget", world.memories.forget([memory.id]))


async def characters(writer: Writer) -> None:
    """Make a character and give her names."""
    world, value = writer.aside, writer.value()
    made, _ = await world.characters.get_or_create(value)
    await writer.do("characters.add_alias", world.characters.add_alias(made.id, f"{value}, the alias"))
    await writer.do("characters.update", world.characters.update(made.id, expected_version=1, name=f"{value}, changed"))


async def flags(writer: Writer) -> None:
    """Write a flag if it has a value, and set the embedder."""
    world = writer.aside
    await world.documents.update("flag", lambda value: value, default=0)
    await writer.do("documents.set_if", world.documents.set_if("flag", 1, expected=0))
    await writer.do("documents.set", world.documents.set("flag", 0))
    await world.documents.increment("passing")
    await writer.do("documents.delete", world.documents.delete("passing"))
    await writer.do("memories.use_embedder", world.memories.use_embedder("hash", 8))
    await writer.do("search.index", world.search.index())


async def lore(writer: Writer) -> None:
    """Add, change and remove an entry."""
    rooms = writer.aside.lore
    entry = await writer.do("lore.add", rooms.add(NewLoreEntry("The lamp.", ["lamp"])))
    await writer.do("lore.update", rooms.update(entry.id, expected_version=1, content="A lamp."))
    await writer.do("lore.remove", rooms.remove(entry.id, expected_version=2))


async def sessions(writer: Writer) -> None:
    """Open a session, talk in it, and close it."""
    rooms, talks = writer.aside.sessions, writer.aside.interactions
    await writer.do("sessions.get_or_create", rooms.get_or_create(writer.chance.choice(_NAMES)))
    session = await writer.do("sessions.open", rooms.open(context={"at": "home"}))
    await writer.do("sessions.heartbeat", rooms.heartbeat(session.id))
    await writer.do("sessions.set_context", rooms.set_context(session.id, {}, expected_version=1))
    await writer.do("sessions.merge_context", rooms.merge_context(session.id, {"at": "sea"}))
    await writer.do("interactions.add", talks.add(session.id, "Hello?"))
    answering = talks.update(session.id, 1, expected_version=1, response="Hello.")
    await writer.do("interactions.update", answering)
    await writer.do("interactions.clear", talks.clear(session.id))
    await writer.do("sessions.clear", rooms.clear(session.id))
    await writer.do("sessions.close", rooms.close(session.id))
    await writer.do("sessions.expire", rooms.expire(_LONG))


async def erasure(writer: Writer) -> None:
    """Let a person write something, and erase her."""
    player = writer.value()
    session = await writer.aside.sessions.open(player=player)
    await writer.aside.interactions.add(session.id, "Hello?")
    await writer.do("erase", writer.aside.erase(player=player))


async def tasks(writer: Writer) -> None:
    """Start tasks, and end them in every way."""
    rooms = writer.aside.tasks
    session = await writer.aside.sessions.open()
    task = await writer.do("tasks.create_unless_running", rooms.create_unless_running(session.id, "tell"))
    await writer.do("tasks.heartbeat", rooms.heartbeat(task))
    await writer.do("tasks.finish", rooms.finish(task))
    another = await rooms.create_unless_running(session.id, "tell")
    await writer.do("tasks.cancel", rooms.cancel(another.id))
    await writer.do("tasks.fail_dead", rooms.fail_dead())
    await writer.do("tasks.take_over", rooms.take_over(another.id))


async def actions(writer: Writer) -> None:
    """Queue actions, and end what is claimed in every way."""
    rooms, value = writer.aside.actions, writer.value()
    lanes = [NewAction(f"lane {number}", "walk") for number in range(3)]
    await writer.do("actions.enqueue_many", rooms.enqueue_many(lanes))
    waiting = await rooms.enqueue(value, "walk", conflict="replace")
    await writer.do("actions.limit_lane", rooms.limit_lane(value, 3))
    await writer.do("actions.cancel", rooms.cancel(waiting.id))
    await writer.do("actions.forget", rooms.forget(value, ended_for=_NOW))
    for action in await writer.do("actions.claim", rooms.claim(3)):
        claimed = await writer.do("actions.extend", rooms.extend(action))
        match writer.chance.randrange(3):
            case 0:
                await writer.do("actions.fail", rooms.fail(claimed, "no"))
            case 1:
                await writer.do("actions.release", rooms.release(claimed))
            case _:
                await writer.do("actions.complete", rooms.complete(claimed))


async def scripts(writer: Writer) -> None:
    """Publish versions of a script, run one, and go back."""
    rooms, value = writer.aside.scripts, writer.value()
    for body in ("Hello", f"Good day {value}"):
        version = await writer.do("scripts.publish", rooms.publish("greeting", body, kind="plain"))
    with writer.history.recording(writer.name, "scripts.use"):
        async with rooms.use("greeting"):
            pass
    await writer.do("scripts.rollback", rooms.rollback("greeting"))
    await writer.do("scripts.activate", rooms.activate("greeting", version.version))
    await writer.do("scripts.retire", rooms.retire("greeting", version.version - 1))


async def models(writer: Writer) -> None:
    """Register models, put them into service, and go back."""
    rooms = writer.aside.ai_models
    for value in (writer.value(), writer.value()):
        model = await writer.do("ai_models.register", rooms.register("narrator", provider="house", name=value))
        await rooms.mark_validated(model.id)
        await writer.do("ai_models.promote", rooms.promote(model.id))
    sample = NewSample(role="narrator", input="Who?", output="Mara.", model=model)
    await writer.do("ai_models.samples.add_many", rooms.samples.add_many([sample]))
    await writer.do("ai_models.rollback", rooms.rollback("narrator"))


async def cycles(writer: Writer) -> None:
    """Run a cycle, ask it to stop, and publish an event."""

    async def phase(_: object) -> None: ...

    await writer.do("cycles.run", writer.aside.cycles.run("tide", {"plan": phase}))
    await writer.do("cycles.request_stop", writer.aside.cycles.request_stop("tide"))
    await writer.do("live.publish", writer.aside.live.publish("typing", {"by": writer.name}))


async def presence(writer: Writer) -> None:
    """Come, stay for a while, and go."""
    rooms = writer.aside.presence
    joined = await writer.do("presence.join", rooms.join(writer.name, story=await _shared(writer)))
    await writer.do("presence.heartbeat", rooms.heartbeat(joined.id))
    await writer.do("presence.leave", rooms.leave(joined.id))
    await writer.do("presence.expire", rooms.expire())


async def worlds(writer: Writer) -> None:
    """Make a world, and remove it with what is in it."""
    rooms = writer.livingworld.worlds
    made = await rooms.create("A passing world")
    await made.stories.create("The Sluice")
    await writer.do("worlds.update", rooms.update(made.id, expected_version=1, name="Passing"))
    await writer.do("worlds.archive", rooms.archive(made.id))
    await writer.do("worlds.purge", rooms.purge(made.id))


async def together(writer: Writer) -> None:
    """Write several things in one transaction."""
    story = await _shared(writer)

    async def unit(tx: TransactionScope) -> None:
        await tx.characters.get_or_create(writer.chance.choice(_NAMES))
        await tx.stories.append_scene(story, NewScene("Together."))
        await tx.documents.increment("together")

    await writer.do("run", writer.aside.run(unit))


async def _shared(writer: Writer) -> UUID:
    story, _ = await writer.do("stories.get_or_create", writer.aside.stories.get_or_create(ASIDE))
    return UUID(str(story.id))


OTHERS: Final[tuple[Deed, ...]] = (
    stories, branches, state, characters, flags, lore, sessions, erasure, tasks, actions, scripts, models, cycles,
    presence, worlds, together, *CARRIERS,
)  # fmt: skip

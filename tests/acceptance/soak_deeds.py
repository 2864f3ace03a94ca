"""What the players of the soak do: one deed of every part, each as a program would do it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from uuid import UUID

from livingworld import (
    COMMANDS,
    Cycle,
    LiveEvent,
    LivingWorld,
    NewAction,
    NewLoreEntry,
    NewMemory,
    NewSample,
    NewScene,
    NewState,
    RunningAction,
    Subject,
    TransactionScope,
    World,
)
from livingworld.identifiers import new_id
from livingworld.story.turns.records import BusyPolicy
from tests.support.patience import patiently

NAMES = ("Mara", "Tom", "Ife", "The lamplighter", "Wren")
BRIEF = timedelta(milliseconds=500)
POLICY = COMMANDS.extended(categories={"walk": "movement", "heal": "skill"})


@dataclass
class Stage:
    """Where everything happens: one world as one of the processes has it, and what is in it."""

    livingworld: LivingWorld
    world: World
    stories: list[UUID]
    sessions: list[UUID]
    chance: Random

    def story(self) -> UUID:
        """Return one of the stories."""
        return self.chance.choice(self.stories)

    def names(self) -> list[str]:
        """Return two of the names."""
        return self.chance.sample(NAMES, 2)


async def turn(stage: Stage) -> None:
    cast = stage.names()
    scene, news = NewScene("The tide turns.", ["On"], cast), NewState(facts={(cast[0], "mood"): stage.chance.random()})
    policies: tuple[BusyPolicy, ...] = ("reject", "queue", "replace")
    async with stage.world.turns.take(
        stage.story(), request_key=str(new_id()), busy=stage.chance.choice(policies), time_limit=BRIEF
    ) as taken:
        await taken.commit(scene, news)


async def append(stage: Stage) -> None:
    await stage.world.stories.append_scene(stage.story(), NewScene("Rain.", ["Wait"], stage.names()))


async def move(stage: Stage) -> None:
    branches, story = stage.world.branches, stage.story()
    head = (await stage.world.stories.head(story)).branch.head
    deeds: list[Callable[[], Awaitable[object]]] = [
        lambda: branches.undo(story),
        lambda: branches.redo(story),
        lambda: branches.fork(story, str(new_id()), at=stage.chance.randint(0, head)),
    ]
    await stage.chance.choice(deeds)()


async def state(stage: Stage) -> None:
    world, story = stage.world, stage.story()
    (one, _), (other, _) = await world.characters.get_or_create_many(stage.names())
    await world.facts.set(story, Subject("lamp"), "lit", stage.chance.random())
    await world.relationships.adjust(story, one.id, other.id, trust=stage.chance.uniform(-0.2, 0.2))
    await world.memories.add(story, [NewMemory(f"It rained {stage.chance.random()}.", one.id)])


async def documents(stage: Stage) -> None:
    await stage.world.documents.increment("count")
    await stage.world.documents.update("weather", lambda value: {**value, "rain": stage.chance.random()}, default={})


async def lore(stage: Stage) -> None:
    entry = await stage.world.lore.add(NewLoreEntry("The lamp.", ["lamp"]))
    await stage.world.lore.update(entry.id, expected_version=1, title="Lamp")
    await stage.world.lore.remove(entry.id, expected_version=2)


async def session(stage: Stage) -> None:
    key = stage.chance.choice(stage.sessions)
    await stage.world.interactions.add(key, "What do you see?", "Water.")
    await stage.world.sessions.merge_context(key, {"rain": stage.chance.random()})
    async with stage.world.tasks.running(key, "generate") as running:
        await running.progress(1)
    if stage.chance.random() < 0.2:
        await stage.world.sessions.clear(key)


async def command(stage: Stage) -> None:
    lane, kind = f"lane {stage.chance.randrange(4)}", stage.chance.choice(("walk", "heal"))
    await stage.world.actions.enqueue(lane, kind, {"story": str(stage.story())}, conflict=POLICY)
    lanes = [f"lane {number}" for number in stage.chance.sample(range(4), 3)]
    await stage.world.actions.enqueue_many([NewAction(each, "heal", {"story": str(stage.story())}) for each in lanes])


async def work(running: RunningAction) -> None:
    """Run an action: a scene, and now and then another action."""

    async def effect(tx: TransactionScope) -> None:
        await tx.stories.append_scene(UUID(running.action.payload["story"]), NewScene("Done.", (), ["Wren"]))
        await tx.actions.enqueue("lane z", "rest")

    await running.complete(effect if running.action.kind != "rest" else None)


async def script(stage: Stage) -> None:
    await stage.world.scripts.publish("narrator", f"Tell of {{{{ name }}}} {stage.chance.random()}")
    async with stage.world.scripts.use("narrator") as used:
        assert used.render(name="Mara").startswith("Tell of Mara")


async def model(stage: Stage) -> None:
    models = stage.world.ai_models
    registered = await models.register("narrator", provider="house", name="tide")
    await models.mark_validated(registered.id)
    await models.promote(registered.id)
    if stage.chance.random() < 0.3:
        await models.rollback("narrator")
    await models.samples.add_many([NewSample(role="narrator", input="Who?", output="Mara.", model=registered)])


async def cycle(stage: Stage) -> None:
    async def phase(running: Cycle) -> int:
        async with stage.world.transaction() as tx:
            await tx.documents.increment("cycles")
            await tx.prove(running)
        return running.token

    await stage.world.cycles.run("tide", {"plan": phase, "do": phase})


async def lock(stage: Stage) -> None:
    async with stage.world.leases.hold("market") as lease, stage.world.transaction() as tx:
        await tx.prove(lease)
        await tx.documents.increment("market")
    async with stage.world.locks.exclusive(f"stall {stage.chance.randrange(3)}", timeout=BRIEF) as tx:
        await tx.characters.get_or_create(stage.chance.choice(NAMES))


async def several(stage: Stage) -> None:
    async def unit(tx: TransactionScope) -> None:
        await tx.stories.append_scene(stage.story(), NewScene("Together.", (), stage.names()))
        await tx.documents.increment("several")
        await tx.actions.enqueue("lane 1", "heal", {"story": str(stage.stories[0])})

    await stage.world.run(unit)


async def follow(stage: Stage) -> None:
    story = stage.story()
    async with stage.world.live.subscribe(story=story) as events:
        scene = await stage.world.stories.append_scene(story, NewScene("Somebody looks.", ["Wait"]))
        async with patiently():
            async for event in events:
                if isinstance(event, LiveEvent) and event.details.get("scene_number") == scene.number:
                    return


async def care(stage: Stage) -> None:
    await stage.world.tasks.fail_dead()
    await stage.world.sessions.expire(timedelta(hours=1))


async def another_world(stage: Stage) -> None:
    other = await stage.livingworld.worlds.create("Fen")
    story = await other.stories.create("The Sluice")
    await other.stories.append_scene(story.id, NewScene("Mud.", (), ["Ada"]))
    await other.actions.enqueue("a", "walk")
    await stage.livingworld.worlds.purge(other.id)


DEEDS: tuple[Callable[[Stage], Awaitable[None]], ...] = (
    turn,
    append,
    move,
    state,
    documents,
    lore,
    session,
    command,
    script,
    model,
    cycle,
    lock,
    several,
    follow,
    care,
    another_world,
)

from __future__ import annotations

import contextlib
import itertools
import statistics
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from livingworld import LivingWorld, NewMemory, NewScene, NewState, RelationshipChange, Subject, Turn, World
from livingworld.testing.staged_races import connected
from tests.query_plans.large_world import analyze, fill_story, fill_world
from tests.query_plans.logged_plans import LoggedPlans, planned, rows_read

SCENES = 20_000
#: Without statistics the planner may sort the rows of a world, while those are few thousands.
SORTED = {"list", "characters"}
_numbers = itertools.count(1)
Call = Callable[[World], Awaitable[object]]


def calls(story_id: UUID) -> dict[str, Call]:
    """Return the hot calls by name."""
    return {
        "head": lambda world: world.stories.head(story_id),
        "append": lambda world: world.stories.append_scene(story_id, NewScene("x", ["a", "b", "c"], chosen_choice=1)),
        "recent": lambda world: world.stories.recent(story_id, 20),
        "page": lambda world: world.stories.scenes(story_id, after=str(SCENES // 2), limit=20),
        "page back": lambda world: world.stories.scenes(story_id, after=str(SCENES // 2), limit=20, newest_first=True),
        "scene": lambda world: world.stories.scene(story_id, SCENES // 2),
        "raw response": lambda world: world.stories.raw_response(story_id, SCENES // 2),
        "find": lambda world: world.characters.find("Person  77"),
        "get_or_create": lambda world: world.characters.get_or_create("PERSON 78"),
        "list": lambda world: world.stories.list(limit=20),
        "characters": lambda world: world.characters.list(limit=20),
        "turn": lambda world: world.turns.play(story_id, tell, request_key=uuid4().hex, choice=1),
        "turn left": lambda world: leave(world, story_id),
        "regenerated": lambda world: regenerate(world, story_id),
        "alternatives": lambda world: world.generations.alternatives(story_id, SCENES + 1),
        **state_calls(story_id),
        "undo": lambda world: world.branches.undo(story_id, 3),
        "redo": lambda world: world.branches.redo(story_id),
        "rewind": lambda world: world.branches.rewind(story_id, SCENES // 2 - 10 * next(_numbers)),
        "redo far": lambda world: world.branches.redo(story_id, 7),
        "fork": lambda world: world.branches.fork(story_id, uuid4().hex, at=SCENES // 3),
        "switch": lambda world: world.branches.switch(story_id, 1),
        "branches": lambda world: world.branches.list(story_id, limit=5),
        "edit": lambda world: world.stories.revisions(story_id, scene_number=SCENES // 2),
    }


def state_calls(story_id: UUID) -> dict[str, Call]:
    """Return those that read and write world state."""
    return {
        "fact": lambda world: world.facts.get(story_id, Subject("subject 7"), "mood"),
        "facts": lambda world: world.facts.all(story_id),
        "facts of one": lambda world: world.facts.all(story_id, Subject("subject 7"), as_of=SCENES // 2),
        "set a fact": lambda world: world.facts.set(story_id, Subject("subject 7"), "mood", 1),
        "adjust": lambda world: adjust(world, story_id),
        "remember": lambda world: world.memories.add(story_id, [NewMemory("x")]),
        "turn with state": lambda world: world.turns.play(story_id, tell_with_state, request_key=uuid4().hex),
    }


async def tell(turn: Turn) -> NewScene:
    assert len(turn.context.recent) == 5
    await turn.record("raw")
    return NewScene("x", ["a", "b"], ["person 77"])


async def tell_with_state(_: Turn) -> tuple[NewScene, NewState]:
    return NewScene("x", ["a", "b"], ["person 7", "person 8"]), NewState(
        facts={(Subject("subject 7"), "mood"): 1},
        relationships=[RelationshipChange("person 7", "person 8", trust=0.1)],
        memories=[NewMemory(uuid4().hex, "person 7")],
    )


async def adjust(world: World, story_id: UUID) -> None:
    (one, _), (two, _) = await world.characters.get_or_create_many(["person 7", "person 8"])
    await world.relationships.adjust(story_id, one.id, two.id, trust=0.1)


async def leave(world: World, story_id: UUID) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with world.turns.take(story_id, request_key="left"):
            raise ZeroDivisionError


async def regenerate(world: World, story_id: UUID) -> None:
    async with world.turns.regenerate(story_id, request_key=uuid4().hex) as turn:
        await turn.commit(await tell(turn))


@pytest.mark.parametrize("statistics_of", ["nothing", "everything"])
async def test_no_hot_call_reads_more_than_it_returns(database_url: str, statistics_of: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        world = await livingworld.worlds.create("large")
        story = await world.stories.create("long")
        other = await livingworld.worlds.create("another")
    for each in (world, other):
        await fill_world(database_url, each.id, 5_000)
    await fill_story(database_url, world.id, story.id, SCENES)
    if statistics_of == "everything":
        await analyze(database_url)

    wasteful = []
    async with planned(database_url, world.id) as (opened, logged):
        for name, call in calls(story.id).items():
            if name in SORTED and statistics_of == "nothing":
                continue
            for _ in range(8):  # the first runs have plans of their own, the later ones the plan that is kept
                logged.plans.clear()
                await call(opened)
            assert logged.plans, name
            wasteful += [
                (name, node["Node Type"], node.get("Index Name"), node.get("Index Cond"), rows_read(node))
                for node in logged.nodes()
                if rows_read(node) > (0 if node["Node Type"] == "Seq Scan" else 150)
            ]

    assert wasteful == [], wasteful


async def median_buffers(logged: LoggedPlans, world: World, call: Call) -> float:
    read = []
    for _ in range(12):
        logged.plans.clear()
        await call(world)
        read.append(logged.buffers())
    return statistics.median(read[6:])


async def test_the_hot_calls_cost_at_scene_20000_what_they_cost_near_the_start(database_url: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        world = await livingworld.worlds.create("three stories")
        stories = {scenes: await world.stories.create(f"of {scenes}") for scenes in (10, 20, SCENES)}
    for scenes, story in stories.items():
        await fill_story(database_url, world.id, story.id, scenes)

    async with planned(database_url, world.id) as (opened, logged):
        for name, near_the_start in (
            ("head", 10),
            ("append", 10),
            ("recent", 20),
            ("turn", 10),
            ("turn with state", 10),
        ):
            cost = {
                scenes: await median_buffers(logged, opened, calls(stories[scenes].id)[name])
                for scenes in (near_the_start, SCENES)
            }
            assert cost[SCENES] <= 1.5 * cost[near_the_start], (name, cost)


_REMEMBER = """
    INSERT INTO livingworld.memory_vectors (world_id, memory_id, embedder, vector)
    SELECT world_id, memory_id, 'e', ARRAY[0.6, 0.8]::real[] FROM livingworld.memories WHERE world_id = $1
"""


@pytest.mark.parametrize("statistics_of", ["nothing", "everything"])
async def test_recall_reads_the_path_and_nothing_else(database_url: str, statistics_of: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        world = await livingworld.worlds.create("large")
        other, story = [await world.stories.create(title) for title in ("long", "short")]
    await fill_story(database_url, world.id, other.id, SCENES)
    await fill_story(database_url, world.id, story.id, 50)
    async with connected(database_url) as connection:
        await connection.execute(_REMEMBER, world.id)
    if statistics_of == "everything":
        await analyze(database_url)

    async with planned(database_url, world.id) as (opened, logged):
        for _ in range(8):
            logged.plans.clear()
            found = await opened.memories.recall(story.id, [1.0, 0.0], text="x", embedder="e", k=20)
        read = [(node["Node Type"], node.get("Index Name"), rows_read(node)) for node in logged.nodes()]

    assert len(found) == 20
    assert [node for node in read if node[2] > (0 if node[0] == "Seq Scan" else 60)] == []
    assert ("Index Scan", "pk_memory_vectors", 50) in read


async def test_recall_compares_no_more_than_its_candidates(database_url: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        world = await livingworld.worlds.create("large")
        story = await world.stories.create("long")
    await fill_story(database_url, world.id, story.id, SCENES)
    async with connected(database_url) as connection:
        await connection.execute(_REMEMBER, world.id)

    async with planned(database_url, world.id) as (opened, logged):
        for query in ([1.0, 0.0], "memory 77"):
            logged.plans.clear()
            found = await opened.memories.recall(story.id, query, embedder="e", k=20, candidates=300)
            compared = [rows_read(node) for node in logged.nodes() if node.get("Index Name") == "pk_memory_vectors"]

            assert (len(found), found.is_cut) == (20, True)
            assert max(compared, default=0) <= 300

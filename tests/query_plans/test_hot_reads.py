"""A hot read costs the same in a short story as in a long one, and beside ten other stories as beside thousands."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Awaitable, Callable
from typing import Literal
from uuid import UUID

import pytest

from livingworld import LivingWorld, NewScene, World
from livingworld.errors import NotFound
from tests.query_plans.large_world import analyze, fill_story, fill_world
from tests.query_plans.logged_plans import LoggedPlans, planned_worlds

Call = Callable[[World], Awaitable[object]]
SHORT, LONG = 20, 20_000
FEW, MANY = 10, 3_000
#: Of which plans are made: a connection that planned while nothing was there keeps that plan until somebody analyses.
Planned = Literal["nothing analysed", "all analysed", "while it was empty"]


def reads(story_id: UUID, scenes: int) -> dict[str, Call]:
    """Return the reads of a story of so many scenes whose cost is bounded, by name."""
    middle = scenes // 2
    return {
        "head": lambda world: world.stories.head(story_id),
        "recent": lambda world: world.stories.recent(story_id, 5),
        "first page": lambda world: world.stories.scenes(story_id, limit=4),
        "page": lambda world: world.stories.scenes(story_id, after=str(middle), limit=4),
        "page back": lambda world: world.stories.scenes(story_id, after=str(middle), limit=4, newest_first=True),
        "scene": lambda world: world.stories.scene(story_id, middle),
        "raw response": lambda world: world.stories.raw_response(story_id, middle),
        "revisions": lambda world: world.stories.revisions(story_id, scene_number=middle),
        "alternatives": lambda world: world.generations.alternatives(story_id, middle),
        "branches": lambda world: world.branches.list(story_id, limit=5),
        "fact": lambda world: world.facts.get(story_id, "subject 7", "mood"),
        "fact as of": lambda world: world.facts.get(story_id, "subject 7", "mood", as_of=middle),
        "facts of one": lambda world: world.facts.all(story_id, "subject 7"),
        "relationships": lambda world: world.relationships.graph(story_id),
        "newest memories": lambda world: world.memories.recent(story_id, k=5),
        "memories as of": lambda world: world.memories.recent(story_id, k=5, as_of=middle),
        "find": lambda world: world.characters.find("Person  7"),
        "stories": lambda world: world.stories.list(limit=5),
        "characters": lambda world: world.characters.list(limit=5),
        "lore": lambda world: world.lore.list(limit=5),
        "append": lambda world: world.stories.append_scene(story_id, NewScene("x", ["a"]), request_key="append"),
        "turn": lambda world: leave_turn(world, story_id),
    }


async def leave_turn(world: World, story_id: UUID) -> None:
    """Take a turn, which reads its context, and leave it."""
    with contextlib.suppress(ZeroDivisionError):
        async with world.turns.take(story_id, request_key="left", recent=5):
            raise ZeroDivisionError


async def median_buffers(logged: LoggedPlans, world: World, call: Call) -> float:
    """Return the pages that a call reads once its plan is the one that is kept."""
    read = []
    for _ in range(11):
        logged.plans.clear()
        await call(world)
        read.append(logged.buffers())
    return statistics.median(read[6:])


async def plan_all(world: World, story_id: UUID) -> None:
    """Let the connection keep the plan of each read."""
    for call in reads(story_id, 2).values():
        for _ in range(7):
            with contextlib.suppress(NotFound):
                await call(world)


class TwoWorlds:
    """A world of few stories and one of many, in each a short story and a long one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.worlds: dict[int, UUID] = {}
        #: By the number of other stories, and of scenes.
        self.stories: dict[tuple[int, int], UUID] = {}

    async def make(self) -> None:
        """Make them without scenes."""
        async with LivingWorld.open(database_url=self._url) as livingworld:
            for others in (FEW, MANY):
                world = await livingworld.worlds.create(f"{others}")
                self.worlds[others] = world.id
                for scenes in (SHORT, LONG):
                    self.stories[others, scenes] = (await world.stories.create(f"of {scenes}")).id

    async def fill(self, *, analysed: bool) -> None:
        """Fill them."""
        for others, world_id in self.worlds.items():
            await fill_world(self._url, world_id, others)
        for (others, scenes), story_id in self.stories.items():
            await fill_story(self._url, self.worlds[others], story_id, scenes)
        if analysed:
            await analyze(self._url)


@pytest.mark.parametrize("plans_of", ["nothing analysed", "all analysed", "while it was empty"])
async def test_a_read_costs_the_same_in_a_long_story_and_beside_thousands(database_url: str, plans_of: Planned) -> None:
    large = TwoWorlds(database_url)
    await large.make()
    if plans_of != "while it was empty":
        await large.fill(analysed=plans_of == "all analysed")
    costs: dict[str, dict[tuple[int, int], float]] = {}
    async with planned_worlds(database_url, *large.worlds.values()) as (opened, logged):
        if plans_of == "while it was empty":
            await plan_all(opened[0], (await opened[0].stories.create("read while all is empty")).id)
            await large.fill(analysed=False)
        of = dict(zip(large.worlds, opened, strict=True))
        for (others, scenes), story_id in large.stories.items():
            for name, call in reads(story_id, scenes).items():
                costs.setdefault(name, {})[others, scenes] = await median_buffers(logged, of[others], call)

    if plans_of == "nothing analysed":
        del costs["stories"]  # the planner sorts them while it takes them for few
    assert {name: cost for name, cost in costs.items() if max(cost.values()) > 1.3 * min(cost.values()) + 6} == {}

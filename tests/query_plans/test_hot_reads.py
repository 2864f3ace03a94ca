"""A hot call costs the same in a short story as in a long one, and beside ten other stories as beside thousands."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID, uuid4

import pytest

from livingworld import LivingWorld, NewLoreEntry, NewScene, Subject, Turn, World
from livingworld.errors import NotFound
from livingworld.testing.roles import RunAs
from tests.query_plans.large_world import analyze, fill_story, fill_world
from tests.query_plans.logged_plans import LoggedPlans, planned_worlds
from tests.support.rotation import WHOLE

Call = Callable[[World], Awaitable[object]]


@dataclass(frozen=True)
class Size:
    """So many scenes of the short and of the long story, and so many other stories in the small and the large world."""

    short: int
    long: int
    few: int
    many: int


SMALL: Final = Size(short=10, long=20_000, few=10, many=3_000)
LARGE: Final = Size(short=10, long=200_000, few=10, many=100_000)
#: Pages that a call may take more without growth: the few rows that it returns may lie on a page each.
ALLOWANCE: Final = 6
#: What no call needs: in each world the stories have 20,000 rows of a kind together.
MOST_PAGES: Final = 600

#: What a planner without statistics takes for small: it sorts the stories of a world, and before PostgreSQL 17 it scans
#: them for those that a group of appends moves.
UNANALYSED: Final = ("stories", "stories, archived too", "stories, by title", "stories with words", "commit")

#: A transaction that is shown one world finds words without their index.
BY_WORDS: Final = ("stories with words",)


def calls(story_id: UUID, scenes: int) -> dict[str, Call]:
    """Return the calls of a story of so many scenes whose cost is bounded, by name; search: see test_search_plans."""
    middle = scenes // 2
    return {
        "head": lambda world: world.stories.head(story_id),
        "recent": lambda world: world.stories.recent(story_id, 5),
        "first page": lambda world: world.stories.scenes(story_id, limit=3),
        "page": lambda world: world.stories.scenes(story_id, after=str(middle), limit=3),
        "page back": lambda world: world.stories.scenes(story_id, after=str(middle), limit=3, newest_first=True),
        "scene": lambda world: world.stories.scene(story_id, middle),
        "all scenes": lambda world: world.stories.all_scenes(story_id, after=str(middle), limit=3),
        "cast of the story": lambda world: world.stories.characters(story_id, limit=5),
        "raw response": lambda world: world.stories.raw_response(story_id, middle),
        "revisions": lambda world: world.stories.revisions(story_id, scene_number=middle),
        "alternatives": lambda world: world.generations.alternatives(story_id, middle),
        "generations": lambda world: world.generations.of(story_id, limit=5),
        "turns": lambda world: world.turns.of(story_id, limit=5),
        "turns of one": lambda world: world.turns.of(story_id, player="ada", limit=5),
        "turn": lambda world: world.turns.get(story_id, f"turn {middle}"),
        "branches": lambda world: world.branches.list(story_id, limit=5),
        "fact": lambda world: world.facts.get(story_id, Subject("subject 7"), "mood"),
        "fact as of": lambda world: world.facts.get(story_id, Subject("subject 7"), "mood", as_of=middle),
        "facts of one": lambda world: world.facts.all(story_id, Subject("subject 7")),
        "relationships": lambda world: world.relationships.graph(story_id),
        "newest memories": lambda world: world.memories.recent(story_id, k=5),
        "memories as of": lambda world: world.memories.recent(story_id, k=5, as_of=middle),
        "list of memories": lambda world: world.memories.list(story_id, limit=5),
        **reads_of_the_world(),
        **writes(story_id),
    }


def reads_of_the_world() -> dict[str, Call]:
    """Return those that are about no story."""
    return {
        "find": lambda world: world.characters.find("Person  7"),
        "stories": lambda world: world.stories.list(limit=5),
        "stories, archived too": lambda world: world.stories.list(limit=5, include_archived=True),
        "stories, last played": lambda world: world.stories.list(limit=5, order="played", status="active"),
        "stories, by title": lambda world: world.stories.list(limit=5, order="title"),
        "stories with words": lambda world: world.stories.list(limit=5, search="of 10"),
        "story by key": lambda world: world.stories.find_by_key("none"),
        "characters": lambda world: world.characters.list(limit=5),
        "search backlog": lambda world: world.search.backlog(),
        "queue": lambda world: world.actions.peek("harbour", limit=5),
        "size of the queue": lambda world: world.actions.size(),
        "sessions": lambda world: world.sessions.list(limit=5),
        "documents": lambda world: world.documents.list(limit=5),
        "who is present": lambda world: world.presence.list(),
    }


def writes(story_id: UUID) -> dict[str, Call]:
    """Return those that write, or may, or look for a text."""
    return {
        "get_or_create": lambda world: world.characters.get_or_create("Harbour  Master"),
        "document": lambda world: world.documents.find("tide"),
        "write a document": lambda world: world.documents.set_if("tide", 3, expected=3),
        "lore": lambda world: world.lore.list(limit=5),
        "match lore": lambda world: world.lore.match("The zephyr rises."),
        "repeated append": lambda world: world.stories.append_scene(
            story_id, NewScene("x", ["a"]), request_key="append"
        ),
        "append": lambda world: world.stories.append_scene(story_id, NewScene("x", ["a", "b", "c"], chosen_choice=1)),
        "take": lambda world: leave_turn(world, story_id),
        "enqueue": lambda world: world.actions.enqueue("harbour", "walk"),
        "claim": lambda world: world.actions.claim(limit=1),
        "publish": lambda world: world.live.publish("tide", story=story_id),
        "commit": lambda world: world.turns.play(story_id, tell, request_key=uuid4().hex, choice=1, recent=5),
        "commit without a cast": lambda world: world.turns.play(
            story_id, tell_of_nobody, request_key=uuid4().hex, choice=1, recent=5
        ),
    }


async def tell(_: Turn) -> NewScene:
    return NewScene("x", ["a", "b", "c"], ["harbour master"])


async def tell_of_nobody(_: Turn) -> NewScene:
    return NewScene("x", ["a", "b", "c"])


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
    """Let the connection keep the plan of each call."""
    await world.stories.append_scene(story_id, NewScene("x", ["a", "b", "c"]))  # what the calls choose from
    for call in calls(story_id, 2).values():
        for _ in range(7):
            with contextlib.suppress(NotFound):
                await call(world)


class TwoWorlds:
    """A world of few stories and one of many, in each a short story and a long one."""

    def __init__(self, url: str, size: Size) -> None:
        self._url = url
        self._size = size
        self.worlds: dict[int, UUID] = {}
        #: By the number of other stories, and of scenes.
        self.stories: dict[tuple[int, int], UUID] = {}

    async def make(self) -> None:
        """Make them without scenes."""
        async with LivingWorld.open(database_url=self._url) as livingworld:
            for others in (self._size.few, self._size.many):
                world = await livingworld.worlds.create(f"{others}")
                self.worlds[others] = world.id
                await world.lore.add(NewLoreEntry("A zephyr.", ["zephyr"]))
                await world.documents.compare_and_set("tide", 3, expected_version=0)
                for scenes in (self._size.short, self._size.long):
                    self.stories[others, scenes] = (await world.stories.create(f"of {scenes}")).id

    async def fill(self, *, analysed: bool) -> None:
        """Fill them."""
        for others, world_id in self.worlds.items():
            await fill_world(self._url, world_id, others)
        for (others, scenes), story_id in self.stories.items():
            await fill_story(self._url, self.worlds[others], story_id, scenes)
        if analysed:
            await analyze(self._url)


#: Of which plans are made: a connection that planned while nothing was there keeps that plan until somebody analyses.
Planned = Literal["nothing analysed", "all analysed", "while it was empty"]


async def costs(url: str, size: Size, plans_of: Planned) -> dict[str, dict[tuple[int, int], float]]:
    """Return the pages that each call reads, by the number of other stories and of scenes."""
    large = TwoWorlds(url, size)
    await large.make()
    if plans_of != "while it was empty":
        await large.fill(analysed=plans_of == "all analysed")
    found: dict[str, dict[tuple[int, int], float]] = {}
    async with planned_worlds(url, *large.worlds.values()) as (opened, logged):
        if plans_of == "while it was empty":
            await plan_all(opened[0], (await opened[0].stories.create("read while all is empty")).id)
            await large.fill(analysed=False)
        of = dict(zip(large.worlds, opened, strict=True))
        for (others, scenes), story_id in large.stories.items():
            for name, call in calls(story_id, scenes).items():
                found.setdefault(name, {})[others, scenes] = await median_buffers(logged, of[others], call)
    return found


@pytest.mark.parametrize("plans_of", ["nothing analysed", "all analysed", "while it was empty"])
async def test_a_call_costs_the_same_in_a_long_story_and_beside_thousands(database_url: str, plans_of: Planned) -> None:
    await check_growth(database_url, SMALL, plans_of)


@pytest.mark.slow
@pytest.mark.rotates
@pytest.mark.skipif(not WHOLE, reason="filling the large worlds takes minutes: make soak does it")
@pytest.mark.parametrize("plans_of", ["nothing analysed", "all analysed", "while it was empty"])
async def test_a_call_costs_the_same_at_200000_scenes_and_100000_stories(database_url: str, plans_of: Planned) -> None:
    await check_growth(database_url, LARGE, plans_of)


async def check_growth(url: str, size: Size, plans_of: Planned) -> None:
    found = await costs(url, size, plans_of)
    role = RunAs.chosen()
    left_out = {*(BY_WORDS if role and role.isolated else ()), *(() if plans_of == "all analysed" else UNANALYSED)}
    for name in left_out:
        del found[name]
    grown = {name: cost for name, cost in found.items() if max(cost.values()) > 1.2 * min(cost.values()) + ALLOWANCE}
    assert grown == {}
    assert {name: cost for name, cost in found.items() if max(cost.values()) > MOST_PAGES} == {}

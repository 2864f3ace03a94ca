"""A call costs the same in the only world of a database as beside thousands of others that have as much."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
from pytest_postgresql.executors import NoopExecutor

from livingworld import LivingWorld
from livingworld.errors import LivingWorldError
from livingworld.testing.databases import DatabaseMaker
from livingworld.testing.staged_races import connected
from tests.query_plans.copied_worlds import copy_world
from tests.query_plans.logged_plans import LoggedPlans, planned_worlds
from tests.support.every_call import CALLS, carry_out
from tests.support.every_write import Furnished, furnish
from tests.support.rotation import WHOLE, rotated_names

#: So many that the tables have indexes worth a look.
FEW: Final = 100
MANY: Final = 1_000
THOUSANDS: Final = 10_000
#: A run tries one of so many parts of the calls.
_PARTS: Final = 6
#: Pages that a call may take more without growth.
ALLOWANCE: Final = 6
#: What ends the world or its story, and what waits for a time and not for the database.
LEFT_OUT: Final = {"worlds.purge", "worlds.archive", "stories.purge", "stories.archive", "erase"}
#: Others than every call, which concern texts that all worlds have.
SEARCHES: Final[dict[str, Callable[[Furnished], Any]]] = {
    "search.find, a word of all worlds": lambda at: at.world.search.find("one"),
    "search.find, in a story": lambda at: at.world.search.find("one", story_id=at.story.id),
    "search.find, a memory": lambda at: at.world.search.find("rained"),
    "search.find, lore": lambda at: at.world.search.find("turns"),
    "stories.list, words": lambda at: at.world.stories.list(search="end"),
    "stories.list, played": lambda at: at.world.stories.list(order="played", status="active"),
    "stories.list, by title": lambda at: at.world.stories.list(order="title", include_archived=True),
    "memories.recall, a word of all worlds": lambda at: at.world.memories.recall(at.story.id, "rained"),
}


@dataclass(frozen=True)
class Cost:
    """What a call read: pages, and how often it went down an index, which is a level higher beside thousands."""

    pages: float
    look_ups: float

    def has_grown_to(self, large: Cost) -> bool:
        """Return whether a call that costs this alone costs too much beside others."""
        return large.pages > 1.2 * self.pages + large.look_ups + ALLOWANCE or large.look_ups > (
            1.2 * max(self.pages, self.look_ups) + ALLOWANCE
        )


async def costs(url: str, others: int, *, analysed: bool) -> dict[str, Cost]:
    """Return what each call reads beside so many other worlds."""
    async with LivingWorld.open(database_url=url) as livingworld:
        there = await furnish(livingworld)
    async with connected(url) as connection:
        await connection.execute("SELECT livingworld.index_scenes_v1($1, 1000)", there.world.id)
    await copy_world(url, there.world.id, others, analysed=analysed)
    async with planned_worlds(url, there.world.id) as ((world,), logged):
        opened = replace(there, world=world)
        return {name: await median_cost(logged, call, opened) for name, call in own_calls().items()}


def own_calls() -> dict[str, Callable[[Furnished], Any]]:
    """Return the calls of one world, by name."""
    of_a_world = {name: call for name, call in CALLS.items() if not name.startswith("worlds.")}
    named = {name: call for name, call in {**of_a_world, **SEARCHES}.items() if name not in LEFT_OUT}
    tried = rotated_names(list(named), _PARTS)
    return {name: call for name, call in named.items() if name in tried}


async def median_cost(logged: LoggedPlans, call: Callable[[Furnished], Any], there: Furnished) -> Cost:
    """Return what a call reads once its plan is the one that is kept; what is refused costs too."""
    read = []
    for _ in range(9):
        logged.plans.clear()
        with contextlib.suppress(LivingWorldError):
            await carry_out(call, {}, there)
        read.append((logged.buffers() if logged.plans else 0, logged.look_ups()))
    return Cost(*map(statistics.median, zip(*read[6:], strict=True)))


async def check_growth(maker: DatabaseMaker, template: str, few: int, many: int, *, analysed: bool) -> None:
    with maker.database(template=template) as small, maker.database(template=template) as large:
        among_few = await costs(small, few, analysed=analysed)
        among_many = await costs(large, many, analysed=analysed)
    grown = {name: (cost, among_many[name]) for name, cost in among_few.items() if cost.has_grown_to(among_many[name])}
    assert sum(cost.pages > 0 for cost in among_many.values()) > len(among_many) / 3  # most calls were heard
    assert grown == {}


@pytest.mark.slow
@pytest.mark.rotates
@pytest.mark.parametrize("known", ["nothing analysed", "all analysed"])
async def test_a_call_costs_the_same_beside_a_thousand_worlds(
    database_maker: DatabaseMaker, migrated_template: NoopExecutor, known: str
) -> None:
    await check_growth(database_maker, migrated_template.template_dbname, FEW, MANY, analysed=known == "all analysed")


@pytest.mark.slow
@pytest.mark.rotates
@pytest.mark.skipif(not WHOLE, reason="filling 10,000 worlds takes minutes: make soak does it")
@pytest.mark.parametrize("known", ["nothing analysed", "all analysed"])
async def test_a_call_costs_the_same_beside_10000_worlds(
    database_maker: DatabaseMaker, migrated_template: NoopExecutor, known: str
) -> None:
    await check_growth(
        database_maker, migrated_template.template_dbname, FEW, THOUSANDS, analysed=known == "all analysed"
    )

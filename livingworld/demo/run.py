"""One run of the demo: tables, a world, all players at once, and the verdict."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter
from typing import Final
from uuid import UUID

from sqlalchemy import URL

from livingworld import LivingWorld, World
from livingworld.demo.plan import Plan
from livingworld.demo.players import Ledger, perform
from livingworld.demo.report import Report, read_report
from livingworld.demo.story_tree import Node
from livingworld.demo.world_stays import WorldStays
from livingworld.errors import LivingWorldError
from livingworld.postgres import migrations
from livingworld.settings.settings import Settings

#: How often the world is opened, as by several machines: races go through PostgreSQL, not only through one process.
_APPLICATIONS: Final = 2
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a demo."""

    world_id: UUID
    report: Report
    #: The shared story.
    nodes: tuple[Node, ...]
    elapsed: timedelta


async def run_demo(
    settings: Settings,
    url: URL,
    plan: Plan,
    written: Callable[[], None],
    *,
    think_time: timedelta = timedelta(0),
    purge: bool = False,
) -> Outcome:
    """Upgrade the schema, let all players play, and return the verdict; `url` is the database of the settings.

    With `purge` the world is removed afterwards, or WorldStays is raised.
    """
    await migrations.upgrade_if_behind(url, lock_timeout=settings.migration_lock_timeout)
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(LivingWorld.open(settings)) for _ in range(_APPLICATIONS)]
        world = await opened[0].worlds.create(plan.title)
        if purge:
            stack.push_async_callback(_purge, opened[0], world.id)
        worlds = [world, *[await other.worlds.get(world.id) for other in opened[1:]]]
        ledger = Ledger()
        began = perf_counter()
        shared = await perform(worlds, plan, ledger, written, think_time=think_time)
        elapsed = timedelta(seconds=perf_counter() - began)
        report = await read_report(url, world.id, plan, ledger, elapsed)
        return Outcome(world.id, report, await _nodes(world, shared), elapsed)


async def _purge(livingworld: LivingWorld, world_id: UUID) -> None:
    reason = None
    try:
        await livingworld.worlds.purge(world_id)
    except LivingWorldError as error:
        reason = str(error)
    if reason is not None:
        message = f"world {world_id} was not removed: {reason}"
        raise WorldStays(message)


async def _nodes(world: World, story_id: UUID) -> tuple[Node, ...]:
    nodes: list[Node] = []
    after: str | None = None
    while True:
        page = await world.stories.scenes(story_id, after=after, limit=_PAGE)
        nodes += [
            Node(
                scene.number,
                scene.parent_number,
                scene.content,
                tuple(choice.content for choice in scene.choices),
                scene.chosen_choice,
            )
            for scene in page.items
        ]
        if (after := page.next) is None:
            return tuple(nodes)

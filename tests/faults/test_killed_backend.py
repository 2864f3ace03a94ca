"""PostgreSQL ends the session before, or after, each single statement of a unit: done, or unknown, never in part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import pytest

from livingworld import LivingWorld, NewScene, Story, World
from livingworld.app.transaction_scope import TransactionScope
from livingworld.errors import CommitUnknown
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy
from livingworld.testing.staged_races import Connection
from tests.support.aftermath import assert_nothing_left, count
from tests.support.killed_sessions import kill

_STATEMENTS_AT_MOST: Final = 60


@dataclass(frozen=True, slots=True)
class Case:
    """A unit, and how to see in the database how often it was carried out."""

    unit: Callable[[World, Story], Awaitable[object]]
    effects: Callable[[Connection, World, Story], Awaitable[int]]


async def _run(world: World, story: Story) -> None:
    async def work(tx: TransactionScope) -> None:
        await tx.stories.append_scene(story.id, NewScene("Another.", choices=["Wait"]))
        await tx.stories.append_scene(story.id, NewScene("And another.", cast=["Mara"]))
        await tx.characters.get_or_create("Tom")

    await world.run(work)


async def _run_effects(observer: Connection, _: World, story: Story) -> int:
    scenes = await count(observer, "scenes", story_id=story.id) - 1
    people, choices = await count(observer, "characters"), await count(observer, "scenes", choices=["Wait"])
    assert scenes == people == 2 * choices
    return choices


async def _edit(world: World, story: Story) -> None:
    await world.stories.edit_scene(story.id, 1, expected_version=1, content="Edited.")


async def _edit_effects(observer: Connection, _: World, story: Story) -> int:
    edited = await count(observer, "scenes", content="Edited.", version=2)
    assert edited == await count(observer, "revisions", entity_id=story.id)
    return edited


async def _update(world: World, story: Story) -> None:
    await world.stories.update(story.id, expected_version=1, title="Renamed")


async def _update_effects(observer: Connection, _: World, story: Story) -> int:
    renamed = await count(observer, "stories", title="Renamed", version=2)
    assert renamed == await count(observer, "revisions", entity_id=story.id)
    return renamed


async def _get_or_create(world: World, story: Story) -> None:
    assert (await world.characters.get_or_create("Mara"))[1]


async def _get_or_create_effects(observer: Connection, _: World, __: Story) -> int:
    people = await count(observer, "characters")
    assert people == await count(observer, "character_names")
    return people


async def _purge(world: World, story: Story) -> None:
    await world.stories.purge(story.id)


async def _purge_effects(observer: Connection, world: World, story: Story) -> int:
    left = await count(observer, "stories", story_id=story.id)
    for table in ("scenes", "branches", "timelines"):
        assert await count(observer, table) == left
    return 1 - left


async def _append_with_new_name(world: World, story: Story) -> None:
    await world.stories.append_scene(story.id, NewScene("Another.", choices=["Wait"], cast=["Mara"]))


async def _append_effects(observer: Connection, _: World, story: Story) -> int:
    scenes = await count(observer, "scenes", story_id=story.id) - 1
    assert scenes == await count(observer, "characters") == await count(observer, "scenes", choices=["Wait"])
    return scenes


CASES: Final = {
    "run": Case(_run, _run_effects),
    "edit_scene": Case(_edit, _edit_effects),
    "update": Case(_update, _update_effects),
    "get_or_create": Case(_get_or_create, _get_or_create_effects),
    "purge": Case(_purge, _purge_effects),
    "append with a new name": Case(_append_with_new_name, _append_effects),
}


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("moment", Moment)
async def test_a_killed_session_leaves_all_or_nothing(
    name: str, moment: Moment, proxy: ProtocolProxy, livingworld: LivingWorld, observer: Connection, database_url: str
) -> None:
    for nth in range(1, _STATEMENTS_AT_MOST):
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        await world.stories.append_scene(story.id, NewScene("First."))
        fault = proxy.at(moment, "", partial(kill, database_url), nth=nth)
        proxy.statements.clear()
        known = await _is_known(CASES[name].unit(world, story))
        effects = await CASES[name].effects(observer, world, story)
        if not fault.happened.is_set():
            assert nth > 2
            return
        assert known or _may_be_unknown(name, moment, proxy.statements[nth - 1 :]), proxy.statements
        assert effects == (1 if known else 0), proxy.statements
        await assert_nothing_left(livingworld, observer)
        await livingworld.worlds.purge(world.id)
    pytest.fail("the unit has more statements than were tried")


def _may_be_unknown(name: str, moment: Moment, statements: Sequence[str]) -> bool:
    """Return whether the end of the session met COMMIT, which after the last statement may be on its way already.

    An append is one statement, which commits by itself; the driver drops the last message of a session that ends in it.
    """
    if moment is Moment.BEFORE:
        return name != "get_or_create" and (statements[0] == "COMMIT;" or name == "append with a new name")
    return name != "get_or_create" and statements[1:] in ([], ["COMMIT;"])


async def _is_known(unit: Awaitable[object]) -> bool:
    try:
        await unit
    except CommitUnknown:
        return False
    return True

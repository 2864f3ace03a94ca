"""A table is changed while connections keep plans of statements on it: no caller hears of it."""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg
import pytest

from livingworld import LivingWorld, NewScene, Scene, Story, World
from livingworld.observability import events
from livingworld.testing.staged_races import Connection
from tests.support.aftermath import assert_nothing_left, scene_contents

_TABLES: Final = ("worlds", "stories", "branches", "scenes", "characters", "character_names")


async def everything(livingworld: LivingWorld, world: World, story: Story, number: int) -> Scene:
    """Call what keeps plans, reads and writes, with and without a transaction of several statements."""
    scene = await world.stories.append_scene(story.id, NewScene("A scene.", choices=["Wait"], cast=["Mara"]))
    await world.stories.head(story.id)
    await world.stories.recent(story.id, 3)
    await world.stories.edit_scene(story.id, scene.number, expected_version=1, location="Here")
    await world.stories.create(f"Another {number}")
    await world.characters.get_or_create(f"Nobody {number}")
    await livingworld.worlds.get(world.id)
    return scene


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("table", _TABLES)
async def test_a_new_column_disturbs_no_pooled_connection(
    table: str, livingworld: LivingWorld, world: World, story: Story, observer: Connection
) -> None:
    await asyncio.gather(*(everything(livingworld, world, story, number) for number in range(8)))

    await observer.execute(f"ALTER TABLE livingworld.{table} ADD COLUMN added text")
    await asyncio.gather(*(everything(livingworld, world, story, number) for number in range(8, 16)))

    assert await scene_contents(observer, story.id) == ["A scene."] * 16
    await assert_nothing_left(livingworld, observer)


@pytest.mark.direct_connection("PgBouncer keeps a statement by its text until it is told to RECONNECT")
@pytest.mark.rotates(parts=2)
# Not characters.name: a function with an atomic body depends on it, so a migration replaces the function first.
@pytest.mark.parametrize("column", ["worlds.name", "stories.title", "characters.key", "scenes.location"])
async def test_a_plan_whose_result_changed_its_type_is_made_anew(
    column: str,
    livingworld: LivingWorld,
    world: World,
    story: Story,
    observer: Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await asyncio.gather(*(everything(livingworld, world, story, number) for number in range(8)))
    await asyncio.gather(*(livingworld.worlds.get(world.id) for _ in range(50)))  # each connection has the plan
    table, name = column.split(".")
    planned = await observer.prepare(f"SELECT {name} FROM livingworld.{table}")  # noqa: S608

    await observer.execute(f"ALTER TABLE livingworld.{table} ALTER COLUMN {name} TYPE varchar(700)")
    await asyncio.gather(*(everything(livingworld, world, story, number) for number in range(8, 16)))

    with pytest.raises(asyncpg.InvalidCachedStatementError):  # what happens to a plan of that column
        await planned.fetch()
    if column == "worlds.name":  # what is text goes straight to the driver, which makes such a plan again by itself
        assert events.RETRIED.name in caplog.text
    assert await scene_contents(observer, story.id) == ["A scene."] * 16
    await assert_nothing_left(livingworld, observer)


@pytest.mark.plain_server("Citus changes the shards in sessions of its own, which wait 25 ms for a lock")
async def test_columns_come_while_calls_are_under_way(
    livingworld: LivingWorld, world: World, story: Story, observer: Connection
) -> None:
    async def calls(player: int) -> None:
        for turn in range(5):
            await everything(livingworld, world, story, 5 * player + turn)

    players = asyncio.gather(*(calls(player) for player in range(4)))
    added = 0
    while not players.done():
        added += 1
        for table in _TABLES:
            await observer.execute(f"ALTER TABLE livingworld.{table} ADD COLUMN added_{added} text")
    await players

    assert await scene_contents(observer, story.id) == ["A scene."] * 20
    await assert_nothing_left(livingworld, observer)

"""Where the largest tables are cut by world, every call reads and writes the one partition of its world."""

from __future__ import annotations

import contextlib
import json
import re
from importlib.resources import files
from typing import Any, Final

import pytest

from livingworld import LivingWorld
from livingworld.errors import LivingWorldError
from livingworld.postgres.distribution.partitioning import partition
from livingworld.postgres.distribution.partitions import PARTS
from livingworld.schema import metadata
from livingworld.story.worlds.isolation import keep_isolated
from livingworld.testing.staged_races import connected
from tests.query_plans.copied_worlds import copy_world
from tests.query_plans.logged_plans import LoggedPlans, planned_worlds
from tests.query_plans.test_many_worlds import own_calls
from tests.support.every_call import carry_out
from tests.support.every_write import furnish
from tests.support.rotation import WHOLE

COUNT: Final = 8
READ: Final = files("livingworld.live").joinpath("sql/read_events.sql").read_text()
STREAM: Final = """
    WITH stream AS (
        INSERT INTO livingworld.live_streams (world_id, stream_id, last_number, followed_until)
        VALUES ($1, $1, 1, 'infinity') RETURNING world_id, stream_id
    )
    INSERT INTO livingworld.live_events (world_id, stream_id, event_number, kind)
    SELECT world_id, stream_id, 1, 'tide' FROM stream
"""
#: Of no story here, or read by followers only.
NOT_READ: Final = {"model_calls", "scene_vectors", "live_events"}
_CUT: Final = re.compile(rf"({'|'.join(metadata.info['largest'])})_(\d+)")
_PLACE: Final = f"SELECT tableoid::regclass::text FROM livingworld.scenes WHERE world_id = $1 -- {PARTS}"  # noqa: S608


async def partitioned(url: str) -> None:
    await partition(url, metadata, COUNT, complete=keep_isolated, report=lambda _: None)


def read_parts(logged: LoggedPlans) -> set[str]:
    """Return the partitions, by number, that were looked into: others stand in a plan and are never executed."""
    nodes = [node for node in logged.nodes() if node.get("Actual Loops")]
    names = [_CUT.fullmatch(node.get("Relation Name", "")) for node in nodes]
    return {found[2] for found in names if found}


def read_tables(logged: LoggedPlans) -> set[str]:
    names: list[Any] = [_CUT.fullmatch(node.get("Relation Name", "")) for node in logged.nodes()]
    return {found[1] for found in names if found}


@pytest.mark.slow
@pytest.mark.rotates
@pytest.mark.parametrize("known", ["nothing analysed", "all analysed"])
async def test_every_call_looks_into_one_partition(database_url: str, known: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        there = await furnish(livingworld)
    await partitioned(database_url)
    await copy_world(database_url, there.world.id, 40, analysed=known == "all analysed")
    async with connected(database_url) as connection:
        place = await connection.fetchval(_PLACE, there.world.id)

    seen: set[str] = set()
    elsewhere = {}
    async with planned_worlds(database_url, there.world.id) as ((there.world,), logged):
        for name, call in own_calls().items():
            for _ in range(7):  # the last plans are those that a connection keeps
                logged.plans.clear()
                with contextlib.suppress(LivingWorldError):
                    await carry_out(call, {}, there)
            seen |= read_tables(logged)
            if read_parts(logged) - {place.rpartition("_")[2]}:
                elsewhere[name] = sorted(read_parts(logged))

    assert elsewhere == {}
    assert seen >= (set(metadata.info["largest"]) - NOT_READ if WHOLE else {"scenes"})


async def test_following_looks_into_one_partition(database_url: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
    await partitioned(database_url)
    async with connected(database_url) as connection:
        await connection.execute(STREAM, world.id)
        plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {READ}", world.id, [world.id], [0], 10)
    logged = LoggedPlans()
    logged.plans = json.loads(plan)

    assert len(read_parts(logged)) == 1
    assert read_tables(logged) == {"live_events"}

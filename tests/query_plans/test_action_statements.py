"""The queue's calls: one statement each where that is promised, and none reads more than it returns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from livingworld import LivingWorld, NewAction, World
from livingworld.testing.protocol_proxy import protocol_proxy
from livingworld.testing.staged_races import connected
from tests.query_plans.large_world import analyze
from tests.query_plans.logged_plans import planned, rows_read
from tests.support.quiet import open_quietly

FILL = """
    WITH lane AS (
        INSERT INTO livingworld.lanes
            (world_id, lane, last_number, waiting, max_waiting, head_priority, head_created_at)
        SELECT $1, $2 || n, $4::integer, $4, 100000, 0, now() FROM generate_series(1, $3::integer) AS n
        RETURNING world_id, lane
    )
    INSERT INTO livingworld.actions (world_id, action_id, lane, number, kind, state, max_attempts, created_at)
    SELECT world_id, gen_random_uuid(), lane, number, 'walk', 'waiting', 5, now()
    FROM lane, generate_series(1, $4::integer) AS number
"""


async def claim_and_complete(world: World) -> None:
    (action,) = await world.actions.claim()
    await world.actions.complete(action)


CALLS: dict[str, Callable[[World], Awaitable[object]]] = {
    "enqueue": lambda world: world.actions.enqueue("long 1", "walk"),
    "enqueue two": lambda world: world.actions.enqueue_many([NewAction("long 1", "walk"), NewAction("lane 7", "walk")]),
    "claim": lambda world: world.actions.claim(),
    "size": lambda world: world.actions.size("long 1"),
    "peek": lambda world: world.actions.peek("long 1", limit=3),
    "commands": lambda world: world.actions.commands("long 1", after="77", limit=3),
}
ALSO_PLANNED = CALLS | {"claim and complete": claim_and_complete}


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_is_one_statement_and_no_transaction_around_it(database_url: str, name: str) -> None:
    untold: list[str] = []
    async with protocol_proxy(database_url) as proxy, open_quietly(proxy.url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        database: Any = livingworld.worlds._process.database
        database.notify = untold.append  # they are sent later, by another connection
        await world.actions.enqueue_many([NewAction("a", "walk"), NewAction("b", "walk")])
        await claim_and_complete(world)
        proxy.statements.clear()
        await CALLS[name](world)

    assert len(proxy.statements) == 1, proxy.statements


@pytest.mark.parametrize("statistics_of", ["nothing", "everything"])
async def test_no_call_reads_more_than_it_returns(database_url: str, world: World, statistics_of: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld, connected(database_url) as connection:
        other = await livingworld.worlds.create("another")
        for each in (world, other):
            await connection.execute(FILL, each.id, "lane ", 3000, 3)
            await connection.execute(FILL, each.id, "long ", 1, 5000)
    if statistics_of == "everything":
        await analyze(database_url)

    wasteful = []
    async with planned(database_url, world.id) as (opened, logged):
        for name, call in ALSO_PLANNED.items():
            if name == "peek" and statistics_of == "nothing":
                continue  # without statistics it may read the lane by its numbers and sort that
            for _ in range(8):  # the first runs have plans of their own, the later ones the plan that is kept
                logged.plans.clear()
                await call(opened)
            assert logged.plans, name
            wasteful += [
                (name, node["Node Type"], node.get("Index Name"), node.get("Index Cond"), rows_read(node))
                for node in logged.nodes()
                if node["Node Type"] == "Seq Scan" or rows_read(node) > 25
            ]

    assert wasteful == []

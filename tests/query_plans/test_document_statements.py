from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from livingworld import ABSENT, LivingWorld, World
from livingworld.testing.protocol_proxy import protocol_proxy
from livingworld.testing.staged_races import connected
from tests.query_plans.large_world import analyze
from tests.query_plans.logged_plans import planned, rows_read
from tests.support.quiet import open_quietly

FILL = """
    WITH made AS (
        INSERT INTO livingworld.documents (world_id, key, value, version)
        SELECT $1, 'state ' || n, '{"gold": 1}', 3 FROM generate_series(1, 5000) AS n RETURNING world_id, key, value
    )
    INSERT INTO livingworld.document_versions (world_id, key, version, value)
    SELECT world_id, key, number, value FROM made, generate_series(1, 3) AS number
"""
CALLS: dict[str, Callable[[World], Awaitable[object]]] = {
    "find": lambda world: world.documents.find("state 77"),
    "list": lambda world: world.documents.list(limit=20),
    "list of a prefix": lambda world: world.documents.list(prefix="state 7", after="state 71", limit=20),
    "at": lambda world: world.documents.at("state 77", 2),
    "history": lambda world: world.documents.history("state 77", limit=2),
    "delete": lambda world: world.documents.delete("state 80"),
    "increment": lambda world: world.documents.increment("sum"),
    "increment a field": lambda world: world.documents.increment("state 78", field="gold"),
    "set_if": lambda world: world.documents.set_if("state 79", {"gold": 1}, expected={"gold": 1}),
    "set_if a field": lambda world: world.documents.set_if("state 79", 1, expected=1, field="gold"),
    "set_if nothing": lambda world: world.documents.set_if("new", 1, expected=ABSENT),
    "set_if no field": lambda world: world.documents.set_if("state 79", 1, expected=ABSENT, field="new"),
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_is_one_statement_and_no_transaction_around_it(database_url: str, name: str) -> None:
    untold: list[str] = []
    async with protocol_proxy(database_url) as proxy, open_quietly(proxy.url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        livingworld.worlds._process.database.notify = untold.append  # they are sent later, by another connection
        for _ in range(2):  # a new connection asks for the types first, once
            await world.documents.increment("state 77")
        proxy.statements.clear()
        await CALLS[name](world)

    assert len(proxy.statements) == 1, proxy.statements


@pytest.mark.parametrize("statistics_of", ["nothing", "everything"])
async def test_no_call_reads_more_than_it_returns(database_url: str, world: World, statistics_of: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld, connected(database_url) as connection:
        other = await livingworld.worlds.create("another")
        for each in (world, other):
            await connection.execute(FILL, each.id)
    if statistics_of == "everything":
        await analyze(database_url)

    wasteful = []
    async with planned(database_url, world.id) as (opened, logged):
        for name, call in CALLS.items():
            for _ in range(8):  # the first runs have plans of their own, the later ones the plan that is kept
                logged.plans.clear()
                await call(opened)
            assert logged.plans, name
            wasteful += [
                (name, node["Node Type"], node.get("Index Cond"), rows_read(node))
                for node in logged.nodes()
                if node["Node Type"] == "Seq Scan" or rows_read(node) > 25
            ]

    assert wasteful == []

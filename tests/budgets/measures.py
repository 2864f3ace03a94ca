"""What an operation costs, whatever the machine: the least of several runs, since disturbances only add to it."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from livingworld.testing.protocol_proxy import protocol_proxy
from tests.budgets.operations import Operation, operations, prepare
from tests.isolation.function_calls import calls_of
from tests.query_plans.logged_plans import planned
from tests.support.patience import until
from tests.support.quiet import open_quietly

#: The first runs prepare statements and choose plans.
_WARM_UPS: Final = 8
_RUNS: Final = 8
#: A process that calls fewer functions in so many seconds does nothing by itself; waiting so long calls 65.
_AT_REST: Final = 100
_REST_SECONDS: Final = 0.01
Costs = dict[str, dict[str, int]]


async def measure(url: str) -> Costs:
    """Return the costs of each operation by name: statements, function calls, peak of allocated bytes, pages, WAL."""
    async with open_quietly(url) as livingworld:  # on a busy machine its looks at locks fall into what is counted
        world = await livingworld.worlds.create("Saltmarsh")
        measured = await prepare(world)
        costs: Costs = {name: {} for name in measured}
        for name, operation in measured.items():
            costs[name]["function_calls"] = await _least(operation, _function_calls)
            costs[name]["allocated_bytes"] = await _least(operation, _allocated_bytes)
    await _add_statements(url, world.id, costs)
    await _add_pages_and_wal(url, world.id, costs)
    return costs


async def _add_statements(url: str, world_id: UUID, costs: Costs) -> None:
    async with protocol_proxy(url) as proxy, open_quietly(proxy.url) as livingworld:
        world = await livingworld.worlds.get(world_id)

        async def count(operation: Operation) -> int:
            proxy.statements.clear()
            await operation()
            return len(proxy.statements)

        for name, operation in (await operations(world)).items():
            costs[name]["statements"] = await _least(operation, count)


async def _add_pages_and_wal(url: str, world_id: UUID, costs: Costs) -> None:
    async with planned(url, world_id) as (world, logged):
        for name, operation in (await operations(world)).items():
            pages, wal = [], []
            for _ in range(_WARM_UPS + _RUNS):
                logged.plans.clear()
                await operation()
                pages.append(logged.buffers())
                wal.append(logged.wal_bytes())
            costs[name]["pages"] = min(pages[_WARM_UPS:])
            costs[name]["wal_bytes"] = min(wal[_WARM_UPS:])


async def _least(operation: Operation, count: Callable[[Operation], Awaitable[int]]) -> int:
    for _ in range(_WARM_UPS):
        await operation()
    costs = []
    for _ in range(_RUNS):
        await until(_at_rest)  # on a busy machine what an operation began would fall into each of the next ones
        costs.append(await count(operation))
    return min(costs)


async def _at_rest() -> bool:
    """Return whether the process neither notifies nor does anything else by itself."""
    if any("Notifications._send_all" in repr(task) for task in asyncio.all_tasks()):
        return False
    return await calls_of(lambda: asyncio.sleep(_REST_SECONDS)) < _AT_REST


async def _function_calls(operation: Operation) -> int:
    async def once() -> None:
        await operation()

    return await calls_of(once)


async def _allocated_bytes(operation: Operation) -> int:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        await operation()
        _, peak = tracemalloc.get_traced_memory()
        return peak - before
    finally:
        tracemalloc.stop()

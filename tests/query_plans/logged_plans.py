"""The plans of all statements that a LivingWorld runs, those inside functions and foreign key checks too."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import event, make_url

from livingworld import LivingWorld, Settings, World
from livingworld.testing.staged_races import connected
from tests.support.aftermath import engine_of

_LOGGING = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_wal": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    "client_min_messages": "log",
}


class LoggedPlans:
    """What auto_explain said, statement by statement."""

    def __init__(self) -> None:
        self.plans: list[dict[str, Any]] = []

    def hear(self, _connection: object, message: Any) -> None:  # noqa: ANN401 - asyncpg's log message
        _, found, plan = message.message.partition("plan:\n")
        if found:
            self.plans.append(json.loads(plan))

    def buffers(self) -> int:
        """Return the pages that were read by the statement that read most, with those inside it."""
        return max(int(each["Plan"]["Shared Hit Blocks"] + each["Plan"]["Shared Read Blocks"]) for each in self.plans)

    def look_ups(self) -> float:
        """Return how often an index was gone down, in all statements."""
        return sum(float(node["Actual Loops"]) for node in self.nodes() if "Index" in node["Node Type"])

    def wal_bytes(self) -> int:
        """Return the bytes of WAL of the statement that wrote most, with those inside it and without its commit."""
        return max(int(each["Plan"]["WAL Bytes"]) for each in self.plans)

    def nodes(self) -> Iterator[dict[str, Any]]:
        """Yield each node of each plan that was run."""
        for plan in self.plans:
            yield from _walk(plan["Plan"])


def rows_read(node: dict[str, Any]) -> float:
    """Return how many rows a node looked at."""
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
    return float((node["Actual Rows"] + removed) * node["Actual Loops"])


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _walk(child)


@asynccontextmanager
async def planned(url: str, world_id: UUID) -> AsyncIterator[tuple[World, LoggedPlans]]:
    """Open a world on one connection whose plans are heard."""
    async with planned_worlds(url, world_id) as ((world,), logged):
        yield world, logged


@asynccontextmanager
async def planned_worlds(url: str, *world_ids: UUID) -> AsyncIterator[tuple[list[World], LoggedPlans]]:
    """Open worlds on one connection whose plans are heard."""
    async with connected(url) as connection:
        for name, value in _LOGGING.items():
            await connection.execute(f"ALTER DATABASE {make_url(url).database} SET {name} = '{value}'")
    logged = LoggedPlans()
    async with LivingWorld.open(Settings.load(database_url=url, pool_size=1)) as livingworld:
        engine = engine_of(livingworld).sync_engine
        event.listen(engine, "connect", lambda raw, _: raw.driver_connection.add_log_listener(logged.hear))
        yield [await livingworld.worlds.get(world_id) for world_id in world_ids], logged

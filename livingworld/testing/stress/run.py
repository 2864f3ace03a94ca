"""One stress run: phase after phase, each in worlds of its own."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext
from uuid import UUID

from livingworld import LivingWorld
from livingworld.embedded_server import EmbeddedServer
from livingworld.settings.database_url import connection_target
from livingworld.testing.history import History, Operation, check, read_operations
from livingworld.testing.staged_races import connected
from livingworld.testing.stress.injecting import inject, left_out
from livingworld.testing.stress.observing import deadlocks, direct_url, observe
from livingworld.testing.stress.plan import Phase, Plan
from livingworld.testing.stress.processes import Workers
from livingworld.testing.stress.result import PhaseResult, StressResult, phase_result
from livingworld.testing.stress.stage import Stage


async def run_stress(
    url: str, plan: Plan, *, server: EmbeddedServer | None = None, began: Callable[[str], object] = print
) -> StressResult:
    """Play every phase of a plan on a migrated database and return the verdict; `server` may be killed, if it is given.

    Each phase has a world of its own and one beside it; both are removed when every promise was kept.
    """
    reasons = left_out(plan, server, tls=_needs_tls(url))
    phases = plan.phases(tuple(reasons))
    results = []
    with tempfile.TemporaryDirectory(prefix="livingworld-stress-") as folder:
        for phase in phases:
            began(phase.name)
            workers = Workers(plan, phase, url, await _staged(url, phase), Path(folder))
            results.append(await _played(workers, plan.seconds / len(phases), server))
            if results[-1].kept:
                await _purge(url, workers.stage)
    return StressResult(tuple(results), reasons)


def _needs_tls(url: str) -> bool:
    return isinstance(connection_target(url).encryption.ssl, SSLContext)


async def _staged(url: str, phase: Phase) -> Stage:
    async with LivingWorld.open(database_url=url) as livingworld:
        worlds = [await livingworld.worlds.create(f"Stress: {phase.name}{part}") for part in ("", ", aside")]
        return await Stage.build(*worlds)


async def _purge(url: str, stage: Stage) -> None:
    async with LivingWorld.open(database_url=url) as livingworld:
        for world in (stage.world, stage.aside):
            await livingworld.worlds.purge(UUID(world))


async def _played(workers: Workers, seconds: float, server: EmbeddedServer | None) -> PhaseResult:
    injected = History()
    before = await _deadlocks(workers.url)
    try:
        await workers.start()
        async with _injecting(workers, seconds, server, injected):
            await asyncio.sleep(seconds)
        hung = await workers.end()
    finally:
        await workers.kill()
    operations = [each for journal in workers.journals for each in _read(journal)] + injected.operations
    verdict = check(operations, await observe(workers.url, workers.stage))
    ended = max(await _deadlocks(workers.url) - before, 0)
    return phase_result(workers.phase.name, operations, verdict, hung=hung, deadlocks=ended)


@asynccontextmanager
async def _injecting(
    workers: Workers, seconds: float, server: EmbeddedServer | None, history: History
) -> AsyncIterator[None]:
    """Inject faults while the block runs; one that is under way is brought to its end."""
    ended = asyncio.Event()
    task = asyncio.create_task(inject(workers, seconds, server, history, ended))
    try:
        yield
    finally:
        ended.set()
        await task


def _read(journal: Path) -> list[Operation]:
    with journal.open(encoding="utf-8") as lines:
        return read_operations(lines)


async def _deadlocks(url: str) -> int:
    async with connected(direct_url(url)) as connection:
        return await deadlocks(connection)

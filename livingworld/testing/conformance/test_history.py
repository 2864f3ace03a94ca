"""Every write at once from two processes, and the check of the whole history."""

from __future__ import annotations

import asyncio

import pytest

from livingworld.testing.conformance.conftest import Processes
from livingworld.testing.history import History, check
from livingworld.testing.staged_races import connected
from livingworld.testing.stress.deeds import CHECKED
from livingworld.testing.stress.observing import deadlocks, direct_url, observe
from livingworld.testing.stress.other_deeds import OTHERS
from livingworld.testing.stress.stage import Stage
from livingworld.testing.stress.writer import Writer

pytestmark = pytest.mark.asyncio


async def test_the_history_of_every_write_at_once_is_strictly_serialisable(processes: Processes) -> None:
    """Prove that nothing is lost, doubled, partial or out of order, and that no deadlock happens, without a fault."""
    history, aside = History(), await processes.first.worlds.create("Conformance, aside")
    try:
        stage = await Stage.build(processes.world, aside)
        elsewhere = await processes.second.worlds.get(aside.id)
        places = ((processes.first, processes.world, aside), (processes.second, processes.elsewhere, elsewhere))
        writers = [
            Writer(f"w{n}", at, (world, beside), stage, history) for n, (at, world, beside) in enumerate(places * 2)
        ]
        async with connected(direct_url(processes.url)) as connection:
            before = await deadlocks(connection)
            await asyncio.gather(*map(_play, writers))
            assert await deadlocks(connection) == before
        verdict = check(history.operations, await observe(processes.url, stage))
        assert verdict.kept, verdict.anomalies
    finally:
        await processes.first.worlds.purge(aside.id)


async def _play(writer: Writer) -> None:
    for deed in writer.chance.sample(CHECKED * 2 + OTHERS, len(CHECKED) * 2 + len(OTHERS)):
        await writer.tried(deed)

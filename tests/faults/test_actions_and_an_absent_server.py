"""Claims that end since the server is away do not count as attempts; those of a worker that dies do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest
import pytest_asyncio

from livingworld import Action, ActionWorker, LivingWorld, RunningAction, Settings, World
from livingworld.coordination.actions import action_writing
from livingworld.errors import EmbedderUnavailable, ServerNotRunning
from livingworld.testing.protocol_proxy import ProtocolProxy
from tests.support.action_checks import an_hour_goes_by, broken_lanes
from tests.support.patience import until
from tests.support.staging import same_world
from tests.support.turn_checks import rows

_BRIEF: Final = timedelta(milliseconds=400)
_QUICK: Final = {
    "lock_timeout": timedelta(milliseconds=100),
    "statement_timeout": timedelta(milliseconds=200),
    "command_timeout": _BRIEF,
    "connect_timeout": _BRIEF,
    "outage_retries": 0,
}
THE_SERVER_STARTED_AFTER_THE_CLAIM: Final = """
    UPDATE livingworld.actions SET started_at = pg_postmaster_start_time() - interval '1 second' RETURNING 1
"""

pytestmark = pytest.mark.usefixtures("strict_loop", "no_patience")


@pytest_asyncio.fixture
async def livingworld(proxy: ProtocolProxy) -> AsyncIterator[LivingWorld]:
    """Give a LivingWorld that notices soon that the network swallows everything."""
    async with LivingWorld.open(Settings.load(database_url=proxy.url, **_QUICK)) as opened:
        try:
            yield opened
        finally:
            proxy.flowing.set()


def cut_off_once(proxy: ProtocolProxy, world: World) -> ActionWorker:
    """Return a worker whose first attempt loses its claim, since the network is gone."""
    attempts: list[Action] = []

    async def walk(running: RunningAction) -> str:
        attempts.append(running.action)
        if len(attempts) == 1:
            proxy.flowing.clear()
            await asyncio.Event().wait()
        return "arrived"

    return world.actions.worker({"walk": walk}, ttl=_BRIEF)


async def test_a_claim_that_was_lost_with_the_server_is_no_attempt(
    database_url: str, proxy: ProtocolProxy, world: World
) -> None:
    given = await world.actions.enqueue("mara", "walk", max_attempts=1)
    worker = cut_off_once(proxy, world)

    await worker.run_once()
    proxy.flowing.set()
    await until(worker.run_once)

    done = await world.actions.get(given.id)
    assert (done.state, done.result, done.attempts) == ("done", "arrived", 1)
    assert await broken_lanes(database_url, world.id) == []


async def test_it_is_taken_back_when_another_worker_has_counted_it(
    database_url: str, proxy: ProtocolProxy, world: World
) -> None:
    given = await world.actions.enqueue("mara", "walk", max_attempts=2)
    worker = cut_off_once(proxy, world)
    await worker.run_once()
    await an_hour_goes_by(database_url)
    async with same_world(database_url, world.id, pools=1) as (other,):
        (claimed,) = await other.actions.claim(ttl=timedelta(minutes=5))
        assert claimed.attempts == 2

        proxy.flowing.set()
        await until(lambda: counted(worker, other, given))
        await other._unit.write(action_writing.uncount, replace(claimed, token=1))
        assert (await other.actions.get(given.id)).attempts == 1
        await other.actions.complete(claimed)
    assert await broken_lanes(database_url, world.id) == []


async def counted(worker: ActionWorker, other: World, given: Action) -> bool:
    """Let the worker claim, and return whether it has reported."""
    await worker.run_once()
    return (await other.actions.get(given.id)).attempts == 1


async def test_a_claim_that_the_server_did_not_outlive_is_no_attempt(database_url: str, world: World) -> None:
    given = await world.actions.enqueue("mara", "walk", max_attempts=1)
    await world.actions.claim()
    await rows(database_url, THE_SERVER_STARTED_AFTER_THE_CLAIM)
    await an_hour_goes_by(database_url)

    (again,) = await world.actions.claim()
    assert (again.id, again.attempts, again.errors) == (given.id, 1, ("the server was away",))
    await an_hour_goes_by(database_url)
    assert await world.actions.claim() == ()
    assert (await world.actions.get(given.id)).state == "failed"


async def test_a_handler_that_fails_since_the_server_is_away_has_made_no_attempt(world: World) -> None:
    errors = [ServerNotRunning(), EmbedderUnavailable()]

    async def walk(_: RunningAction) -> None:
        raise errors.pop(0)

    given = await world.actions.enqueue("mara", "walk", max_attempts=1)
    worker = world.actions.worker({"walk": walk}, retry_in=lambda _: timedelta(0))

    await worker.run_once()
    waiting = await world.actions.get(given.id)
    await until(worker.run_once)

    assert (waiting.state, waiting.attempts, len(waiting.errors)) == ("waiting", 0, 1)
    assert (await world.actions.get(given.id)).state == "failed"

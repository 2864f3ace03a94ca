"""A standby that fails, is slow, or is none of this database: its reads come from the primary, and nobody is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import pytest

from livingworld.embedded_server import find_binaries
from livingworld.errors import Unavailable
from livingworld.postgres import migrations
from livingworld.postgres.replicas.wanted import ANYTHING
from livingworld.postgres.transactions.transaction import Transaction
from tests.faults.replication import Pair, replicated, told
from tests.faults.tcp_server import tcp_server
from tests.support.patience import patiently, until

pytestmark = pytest.mark.xdist_group("standbys that fail")  # what they share is made once

_REVISION: Final = "UPDATE livingworld.alembic_version SET version_num = '{}'"
_ASLEEP: Final = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
#: Longer than a test on the standby, and not at all on the primary.
_SLEEP: Final = "SELECT count(*), pg_sleep(CASE WHEN pg_is_in_recovery() THEN 300 ELSE 0 END) FROM livingworld.stories"
_WAITERS: Final = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'livingworld'"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with replicated() as both:
        yield both


@pytest.fixture
def own_pair() -> Iterator[Pair]:
    with replicated() as both:
        yield both


async def test_a_read_that_replaying_ends_comes_from_the_primary(pair: Pair) -> None:
    async def count(tx: Transaction) -> int:
        return int((await tx.execute_text(_SLEEP, ())).scalar() or 0)

    pair.standby.configure("max_standby_streaming_delay", "0")
    async with told(pair.settings()) as at, patiently():
        reading = asyncio.create_task(at.world.stories._unit.read_at_least(ANYTHING, count))
        await until(lambda: pair.standby.ask(_ASLEEP), unless=reading)
        for statement in ("UPDATE livingworld.stories SET title = 'Vacated'", "VACUUM livingworld.stories"):
            await asyncio.to_thread(pair.primary.administer, statement)

        assert await reading > 0
        assert at.reads() == {"conflict": 1}
        assert await at.world.stories.recent(at.story.id, 1, at_least=0) == (at.first,)
        assert at.reads() == {"conflict": 1, "resting": 1}


async def test_a_standby_that_falls_silent_leaves_the_primary_half_of_the_time(pair: Pair) -> None:
    async def count(tx: Transaction) -> int:
        return int((await tx.execute_text(_SLEEP, ())).scalar() or 0)

    async with told(pair.settings(call_timeout=timedelta(seconds=8))) as at, patiently():
        await at.used()
        assert await at.world.stories._unit.read_at_least(ANYTHING, count) > 0
        assert at.reads() == {"standby": 1, "slow": 1}


async def test_a_standby_of_another_schema_is_left_alone(pair: Pair) -> None:
    async with told(pair.settings()) as at:
        revision = pair.primary.ask("SELECT version_num FROM livingworld.alembic_version")
        with pair.held_back():
            pair.primary.administer(_REVISION.format("later"))
            try:
                assert await at.world.stories.recent(at.story.id, 1, at_least=0) == (at.first,)
            finally:
                pair.primary.administer(_REVISION.format(revision))
        assert at.reads() == {"other schema": 1}


async def test_a_standby_of_another_cluster_is_left_alone(pair: Pair) -> None:
    with tcp_server(find_binaries()) as other:
        await migrations.upgrade(other.url())
        async with told(pair.settings(database_url=other.url())) as at:
            assert await at.world.stories.recent(at.story.id, 1, at_least=0) == (at.first,)
            assert at.reads() == {"other cluster": 1}


async def silent() -> asyncio.Server:
    """Give a port that takes connections and says nothing."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other side goes
        writer.close()

    return await asyncio.start_server(say_nothing, "127.0.0.1", 0)


async def test_a_standby_that_is_slow_to_connect_delays_one_read_only_and_is_found_behind_it(pair: Pair) -> None:
    async with await silent() as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://trusted@127.0.0.1:{port},127.0.0.1:{pair.standby.port}/postgres"
        limits = {"connect_timeout": timedelta(seconds=4), "replica_wait": timedelta(seconds=1)}
        limits["replica_pause"] = timedelta(seconds=8)
        async with told(pair.settings(replica_url=url, **limits)) as at, patiently():
            assert await at.world.stories.recent(at.story.id, 1, at_least=0) == (at.first,)
            assert await at.world.stories.recent(at.story.id, 1, at_least=0) == (at.first,)
            assert at.reads() == {"slow": 1, "resting": 1}
            await at.used()  # the second host, which the attempt reached after the first one's four seconds


async def test_closing_leaves_neither_task_nor_connection(pair: Pair) -> None:
    before = asyncio.all_tasks()
    async with await silent() as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://trusted@127.0.0.1:{port}/postgres"
        settings = pair.settings(replica_url=url, replica_wait=timedelta(milliseconds=50))
        async with told(settings) as at:  # the attempt to connect goes on in the background
            assert await at.world.stories.recent(at.story.id, 1, at_least=0) == (at.first,)
        server.close()
    async with told(pair.settings()) as at:
        await asyncio.gather(*(at.used() for _ in range(3)))  # some connections stay idle
        with pair.held_back():
            scene = await at.tell()
            waiting = asyncio.create_task(at.world.stories.recent(at.story.id, 1, at_least=scene))
            await until(lambda: at.looks() > 1)
            waiting.cancel()
            await asyncio.wait((waiting,))
    assert at.connections_to_the_standby() == 0
    await until(lambda: not pair.standby.ask(_WAITERS))
    await until(lambda: asyncio.all_tasks() <= before)


@pytest.mark.slow
async def test_each_server_may_die_in_the_middle_of_reads(own_pair: Pair) -> None:
    settings = own_pair.settings(replica_pause=timedelta(milliseconds=50), outage_retries=0)
    async with told(settings) as at, patiently():
        seen: set[int] = set()
        over = asyncio.Event()

        async def read() -> None:
            while not over.is_set():
                head = await at.world.stories.head(at.story.id, at_least=at.first)
                seen.add(head.story.scene_count)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(read())
            await at.used()
            await asyncio.to_thread(own_pair.standby.stop, "immediate")
            await until(lambda: at.reads().get("resting", 0) > 0)
            await asyncio.to_thread(own_pair.standby.start)
            await at.used()
            over.set()
        assert seen == {1}

        await asyncio.to_thread(own_pair.primary.stop, "immediate")
        # Who asks for what the standby has gets it, and the other calls tell what is wrong.
        assert await at.world.stories.recent(at.story.id, 1, at_least=at.first) == (at.first,)
        with pytest.raises(Unavailable):
            await at.world.stories.recent(at.story.id, 1)


@pytest.mark.slow
async def test_a_standby_that_was_promoted_is_left_alone(own_pair: Pair) -> None:
    async with told(own_pair.settings(replica_pause=timedelta(milliseconds=1))) as at, patiently():
        await at.used()
        await asyncio.to_thread(own_pair.standby.promote)
        scene = await at.tell()
        own_pair.standby.administer("UPDATE livingworld.scenes SET content = 'Another history.'")
        for seen in (0, 1, at.first, scene, scene.number, await at.world.token()):
            (found,) = await at.world.stories.recent(at.story.id, 1, at_least=seen)
            assert found == scene
        assert at.reads().keys() <= {"standby", "promoted", "unavailable", "resting"}

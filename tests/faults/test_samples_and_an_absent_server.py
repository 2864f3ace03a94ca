"""Training samples and a server that goes away: they wait, and are stored once each when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import pytest

from livingworld import LivingWorld, NewSample, World
from livingworld.embedded_server import EmbeddedServer
from livingworld.errors import SamplesNotStored
from livingworld.identifiers import new_id
from livingworld.observability import events
from livingworld.postgres import migrations
from livingworld.settings.database_url import parse_url
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy, ProxiedConnection
from livingworld.testing.recorded_events import RecordedEvents, recorded_events
from livingworld.testing.staged_races import Connection, connected
from tests.faults.cancelling import Persistence, cancelled_at
from tests.support.aftermath import assert_nothing_left, count, eventually
from tests.support.embedded_servers import kill, needs_linux, server_process

QUICK: Final = timedelta(milliseconds=20)
NEVER: Final = timedelta(hours=1)
STORE: Final = "INSERT INTO livingworld.training_samples"
#: More than one unit is repeated for.
MANY: Final = 15


@pytest.mark.parametrize("moment", Moment)
async def test_samples_whose_answers_are_lost_again_and_again_are_stored_once(
    moment: Moment, proxy: ProtocolProxy, world: World, livingworld: LivingWorld, observer: Connection
) -> None:
    for nth in range(1, MANY + 1):
        proxy.at(moment, STORE, nth=nth)
    with recorded_events() as recorded:
        async with world.ai_models.collecting(flush_size=5, flush_every=QUICK) as samples:
            for number in range(12):
                assert samples.add("narrator", number, "x")
                await asyncio.sleep(0)

    assert (samples.taken, samples.stored, samples.dropped) == (12, 12, 0)
    assert recorded.of(events.SAMPLES_DELAYED) != []
    assert await count(observer, "training_samples") == 12
    await assert_nothing_left(livingworld, observer)


async def test_samples_wait_while_the_server_does_not_let_the_role_in(database_url: str, observer: Connection) -> None:
    role = f"collector_{new_id().hex}"
    await observer.execute(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{role}'")
    url = parse_url(database_url).set(username=role, password=role).render_as_string(hide_password=False)
    with recorded_events() as recorded:
        async with LivingWorld.open(database_url=url) as livingworld:
            world = await livingworld.worlds.create("Saltmarsh")
            async with world.ai_models.collecting(flush_every=QUICK) as samples:
                await observer.execute(f"ALTER ROLE {role} NOLOGIN")
                await observer.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", role
                )
                samples.add("narrator", 1, "x")
                assert await eventually(_delayed_by(recorded, "LoginRefused"))
                await observer.execute(f"ALTER ROLE {role} LOGIN")
    await observer.execute(f"DROP ROLE {role}")

    assert (samples.stored, samples.refused) == (1, 0)


def _delayed_by(recorded: RecordedEvents, error: str) -> Callable[[], Awaitable[bool]]:
    async def happened() -> bool:
        return error in [fields["error"] for fields in recorded.of(events.SAMPLES_DELAYED)]

    return happened


async def test_an_absent_server_fills_the_buffer_and_no_more(
    proxy: ProtocolProxy, world: World, observer: Connection
) -> None:
    for nth in range(1, MANY + 1):
        proxy.at(Moment.BEFORE, STORE, nth=nth)
    async with world.ai_models.collecting(max_buffered=10, flush_every=QUICK) as samples:
        taken = [samples.add("narrator", number, "x") for number in range(30)]
        assert samples.buffered == 10

    assert taken == [True] * 10 + [False] * 20
    assert (samples.taken, samples.dropped, samples.stored) == (10, 20, 10)
    assert await count(observer, "training_samples") == 10


async def test_one_that_stays_away_gets_the_samples_handed_back(
    proxy: ProtocolProxy, world: World, livingworld: LivingWorld, observer: Connection
) -> None:
    with pytest.raises(SamplesNotStored) as caught:
        async with world.ai_models.collecting(flush_every=NEVER, stop_within=timedelta(seconds=0.3)) as samples:
            for number in range(3):
                samples.add("narrator", number, "x")
            proxy.flowing.clear()
    proxy.flowing.set()

    assert [sample.input for sample in caught.value.samples] == [0, 1, 2]
    await assert_nothing_left(livingworld, observer)


@pytest.mark.direct_connection("behind a pooler it is a transaction whose COMMIT was not sent: nothing is unknown")
async def test_samples_that_were_stored_after_all_are_handed_back_and_not_stored_twice(
    proxy: ProtocolProxy, world: World, observer: Connection
) -> None:
    async def lose_the_cable(_: ProxiedConnection) -> None:
        proxy.flowing.clear()

    proxy.at(Moment.AFTER, STORE, lose_the_cable)
    with pytest.raises(SamplesNotStored) as caught:
        async with world.ai_models.collecting(flush_every=NEVER, stop_within=timedelta(seconds=0.3)) as samples:
            for number in range(3):
                samples.add("narrator", {"n": number}, "x", metadata={"rating": number})
    assert await count(observer, "training_samples") == 3
    proxy.flowing.set()
    results = await world.ai_models.samples.add_many(caught.value.samples)

    assert [result.stored for result in results] == [True] * 3
    assert [sample.metadata for sample in caught.value.samples] == [{"rating": number} for number in range(3)]
    assert await count(observer, "training_samples") == 3


async def test_a_batch_that_is_cancelled_anywhere_and_sent_again_is_stored_once(
    world: World, livingworld: LivingWorld, observer: Connection
) -> None:
    batch = [NewSample(role="x", input=number, output=number, id=new_id()) for number in range(3)]
    nth, waited = 1, True
    while waited:
        waited, _ = await cancelled_at(world.ai_models.samples.add_many(batch), nth, Persistence.ONCE)
        nth += 1
    await assert_nothing_left(livingworld, observer)

    assert nth > 2
    assert await count(observer, "training_samples") == len(batch)


@needs_linux
@pytest.mark.usefixtures("strict_loop")
async def test_no_sample_is_lost_or_doubled_when_the_server_is_killed(own_server: EmbeddedServer) -> None:
    url = own_server.url()
    await migrations.upgrade(url)
    async with LivingWorld.open() as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        async with world.ai_models.collecting(max_buffered=10_000, flush_size=20, flush_every=QUICK) as samples:

            async def take(task: int) -> None:
                for number in range(500):
                    assert samples.add("narrator", [task, number], "x")
                    await asyncio.sleep(0.001)

            taking = [asyncio.create_task(take(task)) for task in range(4)]

            async def some_are_stored() -> bool:
                return samples.stored >= 100

            assert await eventually(some_are_stored)
            process = server_process(own_server.data_directory)
            assert process is not None
            await asyncio.to_thread(kill, process)
            assert samples.taken < 2000
            await asyncio.gather(*taking)

        assert (samples.taken, samples.stored, samples.dropped) == (2000, 2000, 0)
        async with connected(url) as observer:
            found = await observer.fetchrow("SELECT count(*), count(DISTINCT input) FROM livingworld.training_samples")
            assert tuple(found or ()) == (2000, 2000)

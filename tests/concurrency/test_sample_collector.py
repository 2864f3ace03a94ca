"""Samples of many tasks: none lost, none doubled, none waited for, and every drop counted."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from livingworld import LivingWorld, World
from livingworld.errors import Closed, InvalidInput, SamplesNotStored
from livingworld.observability import events
from livingworld.testing.recorded_events import recorded_events
from livingworld.testing.staged_races import holding
from tests.support.model_staging import promoted, registered, until
from tests.support.patience import patiently
from tests.support.staging import same_world
from tests.support.turn_checks import rows

NEVER = timedelta(hours=1)
QUICK = timedelta(milliseconds=20)
COUNT = "SELECT count(*), count(DISTINCT input) FROM livingworld.training_samples"
#: While it is held, no sample is stored.
THE_SAMPLES = "LOCK TABLE livingworld.training_samples IN SHARE MODE"


async def test_ten_thousand_samples_of_eight_tasks_are_stored_once_each(database_url: str, world: World) -> None:
    model = await promoted(world, "a")
    async with world.ai_models.collecting(max_buffered=20_000, flush_every=QUICK) as samples:

        async def take(task: int) -> None:
            for number in range(1250):
                assert samples.add("narrator", [task, number], "x", model=model)
                if not number % 50:
                    await asyncio.sleep(0)

        await asyncio.gather(*(take(task) for task in range(8)))

    assert (samples.taken, samples.stored, samples.dropped, samples.buffered) == (10_000, 10_000, 0, 0)
    assert await rows(database_url, COUNT) == [(10_000, 10_000)]


async def test_a_batch_goes_by_its_size_and_by_its_age(world: World) -> None:
    async with world.ai_models.collecting(flush_size=3, flush_every=NEVER) as samples:
        for number in range(3):
            samples.add("narrator", number, "x")
        await until(lambda: samples.stored == 3)
    async with world.ai_models.collecting(flush_size=100, flush_every=QUICK) as samples:
        samples.add("narrator", 4, "x")
        await until(lambda: samples.stored == 1)


async def test_what_does_not_fit_is_dropped_counted_and_warned_about(database_url: str, world: World) -> None:
    with recorded_events() as recorded:
        async with world.ai_models.collecting(max_buffered=10, flush_size=5, flush_every=NEVER) as samples:
            async with holding(database_url, THE_SAMPLES) as holder:
                taken = [samples.add("narrator", number, "x") for number in range(4)]
                taken += [samples.add("narrator", 4, "x")]
                await holder.until_blocked()
                taken += [samples.add("narrator", number, "x") for number in range(5, 30)]
            assert taken == [True] * 10 + [False] * 20
            await until(lambda: not samples.buffered)
            assert samples.add("narrator", 30, "x")

    assert (samples.taken, samples.stored, samples.dropped) == (11, 11, 20)
    assert await rows(database_url, COUNT) == [(11, 11)]
    warnings = [fields["dropped"] for fields in recorded.of(events.SAMPLES_DROPPED)]
    assert warnings == [1, 19]


async def test_memory_is_bounded_by_characters_too(world: World) -> None:
    async with world.ai_models.collecting(max_characters=10_000, flush_every=NEVER) as samples:
        taken = [samples.add("narrator", "x" * 3_000, number) for number in range(10)]
        assert taken == [True] * 3 + [False] * 7
    assert (samples.stored, samples.dropped) == (3, 7)


async def test_no_add_waits_for_a_flush_that_is_under_way(database_url: str, world: World) -> None:
    async with (
        world.ai_models.collecting(flush_size=1, flush_every=NEVER) as samples,
        holding(database_url, THE_SAMPLES) as holder,
    ):
        samples.add("narrator", 0, "x")
        await holder.until_blocked()
        assert all(samples.add("narrator", number, "x") for number in range(1, 100))
        assert (samples.stored, samples.buffered) == (0, 100)

    assert await rows(database_url, COUNT) == [(100, 100)]


async def test_who_is_cancelled_twice_during_a_flush_loses_nothing(database_url: str, world: World) -> None:
    async def collect(here: World) -> None:
        async with here.ai_models.collecting(flush_size=5, flush_every=NEVER) as samples:
            for number in range(7):
                samples.add("narrator", number, "x")
            await asyncio.Event().wait()

    async def run(reached: asyncio.Event) -> None:
        async with same_world(database_url, world.id, pools=1) as (here,):
            collecting = asyncio.create_task(collect(here))
            await reached.wait()
            for _ in range(2):
                collecting.cancel()
                await asyncio.sleep(0)
            await asyncio.gather(collecting, return_exceptions=True)
            assert collecting.cancelled()
            reached.clear()

    reached = asyncio.Event()
    async with holding(database_url, THE_SAMPLES) as holder:
        running = asyncio.create_task(run(reached))
        await holder.until_blocked()
        reached.set()
        await until(lambda: not reached.is_set())
    await running

    assert await rows(database_url, COUNT) == [(7, 7)]


@pytest.mark.parametrize("failed", [False, True])
async def test_one_that_is_refused_is_told_at_the_end_and_the_others_are_stored(
    database_url: str, livingworld: LivingWorld, world: World, *, failed: bool
) -> None:
    elsewhere = await registered(await livingworld.worlds.create("Fen"), "a")
    await rows(database_url, "ALTER TABLE livingworld.training_samples ADD CONSTRAINT ck_x CHECK (output <> '\"bad\"')")
    with recorded_events() as recorded, pytest.raises(ZeroDivisionError if failed else SamplesNotStored) as caught:
        async with world.ai_models.collecting(flush_every=NEVER) as samples:
            for number in range(9):
                samples.add("narrator", number, "bad" if number == 3 else "x", model=elsewhere if number == 7 else None)
            if failed:
                raise ZeroDivisionError

    assert (samples.taken, samples.stored, samples.refused, samples.buffered) == (9, 7, 2, 0)
    refused = sorted(fields["error"] for fields in recorded.of(events.SAMPLE_REFUSED))
    assert refused == ["DatabaseFailure", "ModelNotFound"]
    assert [(f["refused"], f["left"]) for f in recorded.of(events.SAMPLES_NOT_STORED)] == [(2, 0)]
    assert await rows(database_url, COUNT) == [(7, 7)]
    if isinstance(caught.value, SamplesNotStored):
        assert (caught.value.taken, caught.value.refused, caught.value.samples) == (9, 2, ())


async def test_samples_of_a_world_that_was_purged_are_refused_together(livingworld: LivingWorld, world: World) -> None:
    with pytest.raises(SamplesNotStored) as caught:
        async with world.ai_models.collecting(flush_every=NEVER) as samples:
            for number in range(9):
                samples.add("narrator", number, "x")
            await livingworld.worlds.purge(world.id)

    assert (caught.value.refused, caught.value.left) == (9, 0)


async def test_what_cannot_be_stored_before_the_time_is_over_is_handed_back(database_url: str, world: World) -> None:
    async with holding(database_url, THE_SAMPLES), patiently():
        with pytest.raises(SamplesNotStored) as caught:
            async with world.ai_models.collecting(flush_every=NEVER, stop_within=QUICK) as samples:
                samples.add("narrator", 1, "x")

    assert [sample.input for sample in caught.value.samples] == [1]
    assert caught.value.left == 1


async def test_bad_input_is_named_and_nothing_is_taken_after_the_block(world: World) -> None:
    async with world.ai_models.collecting() as samples:
        unfit: list[dict[str, Any]] = [{"role": ""}, {"input": object()}, {"output": {1: 2}}, {"model": 1}]
        for each in unfit:
            with pytest.raises(InvalidInput):
                given: dict[str, Any] = {"role": "narrator", "input": 1, "output": 1}
                samples.add(**given | each)
        with pytest.raises(InvalidInput):
            samples.add("narrator", 1, 1, metadata=[])  # type: ignore[arg-type]
    assert samples.taken == 0
    with pytest.raises(Closed):
        samples.add("narrator", 1, 1)
    refused: list[dict[str, Any]] = [{"max_buffered": 0}, {"flush_size": 1001}, {"flush_every": 1}]
    for options in refused:
        with pytest.raises(InvalidInput):
            async with world.ai_models.collecting(**options):
                pass

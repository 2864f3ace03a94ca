"""Race 19: numbers that are taken while calls run have each call once; a decision's numbers are of one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from livingworld.models.embeddings.metrics import Counts, Metrics, Outcome

CALLS = 100
WORKERS = 5


async def work(metrics: Metrics) -> None:
    for number in range(CALLS):
        metrics.begin()
        await asyncio.sleep(0)
        metrics.end(Outcome.FAILED if number % 10 == 0 else Outcome.SUCCEEDED, texts=2, seconds=0.5)


async def take(metrics: Metrics) -> Counts:
    return metrics.take()


async def take_naively(metrics: Metrics) -> Counts:
    """Copy, be interrupted, set to zero."""
    taken = metrics.snapshot()
    await asyncio.sleep(0)
    metrics._counts = Counts(carried=taken.in_flight, in_flight=taken.in_flight)
    return taken


async def windows(how: Callable[[Metrics], Awaitable[Counts]]) -> list[Counts]:
    """Run five workers, take the numbers twenty times meanwhile, and once at the end."""
    metrics = Metrics()
    workers = [asyncio.create_task(work(metrics)) for _ in range(WORKERS)]
    taken = []
    for _ in range(20):
        for _ in range(7):
            await asyncio.sleep(0)
        taken.append(await how(metrics))
    assert any(counts.in_flight for counts in taken), "nothing was under way when the numbers were taken"
    await asyncio.gather(*workers)
    return [*taken, await how(metrics)]


async def test_windows_add_up_to_every_call_that_was_made() -> None:
    taken = await windows(take)

    assert sum(counts.started for counts in taken) == CALLS * WORKERS
    assert sum(counts.finished for counts in taken) == CALLS * WORKERS
    assert sum(counts.failed for counts in taken) == CALLS * WORKERS / 10
    assert sum(counts.texts for counts in taken) == CALLS * WORKERS * 2 * 9 / 10
    assert sum(counts.seconds for counts in taken) == sum(counts.texts for counts in taken) / 4
    for counts, following in zip(taken, [*taken[1:], None], strict=True):
        assert counts.carried + counts.started == counts.finished + counts.in_flight
        assert following is None or following.carried == counts.in_flight


async def test_numbers_that_are_copied_and_then_zeroed_lose_calls() -> None:
    taken = await windows(take_naively)

    assert sum(counts.started for counts in taken) < CALLS * WORKERS


async def test_a_snapshot_stays_as_it_was() -> None:
    metrics = Metrics()
    metrics.begin()
    before = metrics.snapshot()
    kept = replace(before)
    metrics.end(Outcome.SUCCEEDED, texts=1, seconds=1)
    metrics.take()

    assert before == kept
    with pytest.raises(AttributeError):
        before.started = 7  # type: ignore[misc]

"""A fast and a safe backend as one embedder; the clock is the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from livingworld import DispatchPolicy, EmbedderDispatcher
from livingworld.errors import BatchSizeMismatch, InvalidInput, OutOfMemory
from livingworld.models.embeddings.circuit_breaker import CircuitBreaker
from livingworld.models.embeddings.dispatch import Backend, choose
from livingworld.observability import events
from livingworld.testing.recorded_events import RecordedEvents, recorded_events
from tests.support.embedders import StagedEmbedder, vectors
from tests.support.patience import patiently


class Clock:
    """Seconds that pass when a call says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Stage:
    """A dispatcher over two backends of which the test says how long and how well they work."""

    def __init__(self, **policy: Any) -> None:  # noqa: ANN401
        self.clock = Clock()
        self.fast_seconds, self.safe_seconds = 1.0, 4.0
        self.failure: Exception | None = None
        self.fast = StagedEmbedder(name="model", answer=self._fast)
        self.safe = StagedEmbedder(name="model", answer=self._safe)
        self.breaker = CircuitBreaker(self.clock, failures=3, rest=timedelta(seconds=1000))
        self.dispatcher = EmbedderDispatcher(
            self.fast, self.safe, policy=DispatchPolicy(**policy), breaker=self.breaker, clock=self.clock
        )

    async def _fast(self, texts: Sequence[str]) -> list[list[float]]:
        self.clock.now += self.fast_seconds
        if self.failure is not None:
            raise self.failure
        return vectors(texts)

    async def _safe(self, texts: Sequence[str]) -> list[list[float]]:
        self.clock.now += self.safe_seconds
        return vectors(texts)

    async def calls(self, count: int, texts: int = 2) -> tuple[int, int]:
        """Embed so often and return how many calls each backend got."""
        before = len(self.fast.batches), len(self.safe.batches)
        for _ in range(count):
            assert len(await self.dispatcher.embed(["x"] * texts)) == texts
        return len(self.fast.batches) - before[0], len(self.safe.batches) - before[1]


@pytest.fixture
def recorded() -> Iterator[RecordedEvents]:
    with recorded_events() as recorded:
        yield recorded


async def test_both_are_tried_and_then_the_faster_one_is_used() -> None:
    stage = Stage()

    assert await stage.calls(6) == (3, 3)
    assert await stage.calls(20) == (20, 0)
    assert stage.dispatcher.snapshot().speed_up == 4


async def test_a_fast_backend_that_became_slow_is_left_and_tried_again_in_the_next_window(
    recorded: RecordedEvents,
) -> None:
    stage = Stage(window=40)
    await stage.calls(6)
    stage.fast_seconds = 40

    assert (await stage.calls(34))[1] >= 30
    (fast, safe) = recorded.of(events.EMBEDDER_WINDOW_ENDED)
    assert fast["succeeded"] + safe["succeeded"] == 40
    stage.fast_seconds = 1
    assert await stage.calls(30) == (27, 3)


async def test_a_batch_outside_the_thresholds_goes_to_the_safe_one() -> None:
    stage = Stage(smallest_batch=2, largest_batch=4)

    assert await stage.calls(3, texts=1) == (0, 3)
    assert await stage.calls(3, texts=5) == (0, 3)
    assert await stage.calls(3, texts=3) == (3, 0)


@pytest.mark.parametrize("failure", [RuntimeError("gone"), TimeoutError(), MemoryError()], ids=repr)
async def test_what_the_fast_one_cannot_the_safe_one_does(recorded: RecordedEvents, failure: Exception) -> None:
    stage = Stage()
    stage.failure = failure

    assert await stage.calls(1, texts=1) == (1, 1)
    (logged,) = recorded.of(events.EMBEDDER_FELL_BACK)
    assert logged == {"embedder": "model", "texts": 1, "error": type(failure).__name__}


@pytest.mark.parametrize(
    "wrong", [None, [], [[1.0] * 8], [[1.0] * 8] * 3, [[1.0] * 7] * 2, [[float("nan")] * 8] * 2, [[0] * 8] * 2]
)
async def test_a_wrong_answer_of_the_fast_one_is_a_failure(wrong: Any) -> None:  # noqa: ANN401
    stage = Stage()

    async def answer(_: Sequence[str]) -> Any:  # noqa: ANN401
        return wrong

    stage.fast.answer = answer
    assert await stage.calls(1) == (1, 1)
    assert stage.dispatcher.snapshot().fast.failed == 1


@pytest.mark.parametrize("failure", [MemoryError(), OutOfMemory()], ids=repr)
async def test_out_of_memory_of_a_batch_is_told_for_it_to_be_halved(failure: Exception) -> None:
    stage = Stage()
    stage.failure = failure

    with pytest.raises(type(failure)):
        await stage.dispatcher.embed(["a", "b"])
    assert stage.safe.batches == []
    assert stage.dispatcher.snapshot().fast.abandoned == 1
    assert stage.breaker.permitted


async def test_failures_open_the_circuit_and_one_probe_closes_it(recorded: RecordedEvents) -> None:
    stage = Stage(fewest_calls=20, least_success_rate=0)
    stage.failure = RuntimeError()
    assert await stage.calls(3) == (3, 3)
    assert await stage.calls(5) == (0, 5)

    stage.clock.now += 1000
    stage.failure = None
    stage.fast.go.clear()
    calls = [asyncio.create_task(stage.dispatcher.embed(["a", "b"])) for _ in range(10)]
    async with patiently():
        finished = asyncio.as_completed(calls)
        for _ in range(9):
            await next(finished)
    assert stage.fast.under_way == 1, "one probe and no other call"
    stage.fast.go.set()
    await asyncio.gather(*calls)

    assert [logged["state"] for logged in recorded.of(events.EMBEDDER_CIRCUIT_CHANGED)] == ["open", "closed"]
    assert await stage.calls(2) == (2, 0)


async def test_a_cancelled_probe_makes_room_and_is_counted() -> None:
    stage = Stage(fewest_calls=20)
    stage.failure = RuntimeError()
    await stage.calls(3)
    stage.clock.now += 1000
    stage.fast.go.clear()
    probe = asyncio.create_task(stage.dispatcher.embed(["a", "b"]))
    for _ in range(4):
        await stage.fast.begun.get()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)

    taken = stage.dispatcher.snapshot()
    assert (taken.fast_permitted, taken.fast.abandoned, taken.fast.in_flight) == (True, 1, 0)


async def test_the_safe_one_has_the_last_word() -> None:
    stage = Stage()
    stage.failure = RuntimeError()

    async def answer(texts: Sequence[str]) -> Any:  # noqa: ANN401
        return vectors(texts)[1:]

    stage.safe.answer = answer
    with pytest.raises(BatchSizeMismatch):
        await stage.dispatcher.embed(["a", "b"])


async def test_every_decision_is_what_its_one_snapshot_says(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(window=20)
    decisions = []

    def choosing(snapshot: Any, size: int) -> Backend:  # noqa: ANN401
        backends = stage.dispatcher._metrics.values()
        now = tuple(metrics.snapshot() for metrics in backends)
        decisions.append((snapshot.fast, snapshot.safe) == now)
        for counts in (snapshot.fast, snapshot.safe):
            assert counts.carried + counts.started == counts.finished + counts.in_flight
        return choose(snapshot, size)

    monkeypatch.setattr("livingworld.models.embeddings.dispatcher.choose", choosing)
    await asyncio.gather(*(stage.calls(20) for _ in range(5)))

    assert decisions == [True] * 100


def test_backends_of_two_models_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"safe\.name"):
        EmbedderDispatcher(StagedEmbedder(name="one"), StagedEmbedder(name="other"))
    with pytest.raises(InvalidInput, match=r"safe\.dimensions"):
        EmbedderDispatcher(StagedEmbedder(8), StagedEmbedder(9))

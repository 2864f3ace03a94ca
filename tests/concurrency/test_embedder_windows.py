"""Race 19 at a dispatcher at work: its windows, with what is left at the end, are every call that its backends had."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from livingworld import DispatchPolicy, EmbedderDispatcher
from livingworld.models.embeddings.metrics import Counts, Metrics
from livingworld.observability import events
from livingworld.testing.recorded_events import recorded_events
from tests.support.embedders import StagedEmbedder, vectors

WORKERS: Final = 5
CALLS: Final = 100
#: Calls of a window; so there are twenty and more.
WINDOW: Final = 25
SUMS: Final = ("started", "succeeded", "failed", "abandoned", "texts")


class Backend(StagedEmbedder):
    """Counts for itself what it is asked and how that ends; fails, and is slow, now and then."""

    def __init__(self, *, fails_every: int) -> None:
        super().__init__(name="model", answer=self._answer)
        self._numbers = itertools.count(1)
        self._fails_every = fails_every
        self.truth = dict.fromkeys(SUMS, 0)

    async def _answer(self, texts: Sequence[str]) -> list[list[float]]:
        self.truth["started"] += 1
        number = next(self._numbers)
        try:
            for _ in range(number % 4):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.truth["abandoned"] += 1
            raise
        if number % self._fails_every == 0:
            self.truth["failed"] += 1
            raise ConnectionError
        self.truth["succeeded"] += 1
        self.truth["texts"] += len(texts)
        return vectors(texts)


async def work(dispatcher: EmbedderDispatcher) -> None:
    """Ask often; every seventh call is cancelled in the middle."""
    for number in range(CALLS):
        call = asyncio.create_task(dispatcher.embed(["x"] * (1 + number % 3)))
        if number % 7 == 0:
            await asyncio.sleep(0)
            call.cancel()
        await asyncio.gather(call, return_exceptions=True)


async def windows() -> tuple[list[Mapping[str, Any]], dict[str, Counts], dict[str, dict[str, int]]]:
    """Return the windows as they were logged, what is left of each backend, and what each has counted itself."""
    backends = {"fast": Backend(fails_every=11), "safe": Backend(fails_every=10**9)}
    dispatcher = EmbedderDispatcher(*backends.values(), policy=DispatchPolicy(window=WINDOW, least_success_rate=0.5))
    with recorded_events() as recorded:
        await asyncio.gather(*(work(dispatcher) for _ in range(WORKERS)))
    left = dispatcher.snapshot()
    truth = {name: backend.truth for name, backend in backends.items()}
    return list(recorded.of(events.EMBEDDER_WINDOW_ENDED)), {"fast": left.fast, "safe": left.safe}, truth


def sums(logged: list[Mapping[str, Any]], left: dict[str, Counts]) -> dict[str, dict[str, int]]:
    return {
        backend: {
            name: getattr(counts, name) + sum(window[name] for window in logged if window["backend"] == backend)
            for name in SUMS
        }
        for backend, counts in left.items()
    }


async def test_the_windows_and_what_is_left_are_every_call_of_each_backend() -> None:
    logged, left, truth = await windows()

    assert len(logged) >= 2 * 20
    assert sums(logged, left) == truth
    assert truth["fast"]["failed"]
    assert truth["fast"]["abandoned"]
    assert truth["safe"]["started"] >= truth["fast"]["failed"]


async def test_in_each_window_what_was_carried_and_started_is_finished_or_in_flight() -> None:
    logged, left, _ = await windows()

    assert any(window["in_flight"] for window in logged), "nothing was under way when a window ended"
    for window in logged:
        finished = window["succeeded"] + window["failed"] + window["abandoned"]
        assert window["carried"] + window["started"] == finished + window["in_flight"]
    for backend, counts in left.items():
        of_backend = [window for window in logged if window["backend"] == backend]
        carried = [*(window["carried"] for window in of_backend), counts.carried]
        assert carried == [0, *(window["in_flight"] for window in of_backend)]


async def test_windows_that_are_told_from_one_moment_and_begun_at_another_lose_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The naive one looks, and zeroes when it comes to run again."""

    def take_late(metrics: Metrics) -> Counts:
        taken = metrics.snapshot()
        nothing = Counts(carried=taken.in_flight, in_flight=taken.in_flight)
        asyncio.get_running_loop().call_soon(setattr, metrics, "_counts", nothing)
        return taken

    monkeypatch.setattr(Metrics, "take", take_late)
    logged, left, truth = await windows()

    assert sums(logged, left) != truth

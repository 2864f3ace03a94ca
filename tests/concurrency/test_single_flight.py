"""Race 14: those who ask for the same text at once share one computation, and none of them owns it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from livingworld import EmbeddingPipeline, LivingWorld, World
from livingworld.background.single_flight import Deliver, SingleFlight
from livingworld.background.tasks import BackgroundTasks
from livingworld.errors import BatchSizeMismatch, Closed, EmbeddingFailed, LivingWorldError
from livingworld.models.embeddings.batching import named_failure
from tests.support.embedders import StagedEmbedder
from tests.support.staging import stop

Outcome = int | LivingWorldError
IntegerFlight = SingleFlight[str, Outcome]


def askers(pipeline: EmbeddingPipeline) -> list[int]:
    """Return how many wait for each computation."""
    return [work.callers for work in set(pipeline._shared.single_flight._works.values())]


def ask(pipeline: EmbeddingPipeline, texts: Sequence[str], count: int) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(pipeline.embed(texts)) for _ in range(count)]


@pytest.fixture
def embedder() -> StagedEmbedder:
    return StagedEmbedder()


@pytest.fixture
def pipeline(world: World, embedder: StagedEmbedder) -> EmbeddingPipeline:
    return world.embeddings(embedder)


@pytest_asyncio.fixture(autouse=True)
async def _nothing_is_left(pipeline: EmbeddingPipeline) -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0)  # the end of a cancelled task
    assert len(pipeline._shared.single_flight) == 0


async def test_twenty_ask_the_first_is_cancelled_and_one_call_answers_the_rest(
    pipeline: EmbeddingPipeline, embedder: StagedEmbedder
) -> None:
    embedder.go.clear()
    callers = ask(pipeline, ["the lantern"], 20)
    await embedder.begun.get()
    assert askers(pipeline) == [20]
    callers[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await callers[0]
    embedder.go.set()
    answers = await asyncio.gather(*callers[1:])

    assert len(answers) == 19
    assert len(set(answers)) == 1
    assert embedder.batches == [("the lantern",)]
    assert embedder.cancelled == 0


async def test_an_error_goes_to_all_who_wait_and_is_not_remembered(
    pipeline: EmbeddingPipeline, embedder: StagedEmbedder
) -> None:
    good = embedder.answer

    async def bad(_: Sequence[str]) -> list[Any]:
        return []

    embedder.answer = bad
    embedder.go.clear()
    callers = ask(pipeline, ["the lantern"], 2)
    await embedder.begun.get()
    embedder.go.set()
    failures = await asyncio.gather(*callers, return_exceptions=True)

    assert [type(failure) for failure in failures] == [BatchSizeMismatch, BatchSizeMismatch]
    assert failures[0] is not failures[1]
    assert len(embedder.batches) == 1
    embedder.answer = good
    assert len(await pipeline.embed(["the lantern"])) == 1
    assert len(embedder.batches) == 2


async def test_when_all_who_ask_are_cancelled_the_work_is_too(
    pipeline: EmbeddingPipeline, embedder: StagedEmbedder
) -> None:
    embedder.go.clear()
    callers = ask(pipeline, ["the lantern"], 3)
    await embedder.begun.get()
    await stop(callers[:2])
    assert embedder.cancelled == 0
    await stop(callers[2:])
    await asyncio.sleep(0)

    assert embedder.cancelled == 1
    assert embedder.under_way == 0


async def test_who_comes_right_after_the_last_was_cancelled_starts_again(
    pipeline: EmbeddingPipeline, embedder: StagedEmbedder
) -> None:
    embedder.go.clear()
    (first,) = ask(pipeline, ["the lantern"], 1)
    await embedder.begun.get()
    first.cancel()
    (second,) = ask(pipeline, ["the lantern"], 1)
    await embedder.begun.get()
    (third,) = ask(pipeline, ["the lantern"], 1)  # the end of the cancelled work took nothing away that is not its own
    await asyncio.sleep(0)
    assert askers(pipeline) == [2]
    embedder.go.set()

    assert await second == await third
    assert first.cancelled()
    assert len(embedder.batches) == 2
    assert embedder.cancelled == 1


async def test_who_asks_for_more_shares_what_is_under_way(
    pipeline: EmbeddingPipeline, embedder: StagedEmbedder
) -> None:
    embedder.go.clear()
    (one,) = ask(pipeline, ["a", "b"], 1)
    await embedder.begun.get()
    (two,) = ask(pipeline, ["b", "c"], 1)
    await embedder.begun.get()
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    assert embedder.cancelled == 0, "one asker still waits for b"
    embedder.go.set()

    assert len(await two) == 2
    assert embedder.batches == [("a", "b"), ("c",)]


async def test_two_doors_to_one_world_share_and_two_worlds_do_not(
    livingworld: LivingWorld, world: World, embedder: StagedEmbedder
) -> None:
    embedder.go.clear()
    again = (await livingworld.worlds.get(world.id)).embeddings(StagedEmbedder())
    other = (await livingworld.worlds.create("Fen")).embeddings(embedder)
    callers = [task for pipeline in (world.embeddings(embedder), again, other) for task in ask(pipeline, ["x"], 2)]
    for _ in range(2):
        await embedder.begun.get()
    embedder.go.set()
    await asyncio.gather(*callers)

    assert embedder.batches == [("x",), ("x",)]


async def test_who_still_waits_when_everything_closes_gets_closed(database_url: str, embedder: StagedEmbedder) -> None:
    embedder.go.clear()
    async with LivingWorld.open(database_url=database_url) as livingworld:
        world = await livingworld.worlds.create("Fen")
        (caller,) = ask(world.embeddings(embedder), ["the lantern"], 1)
        await embedder.begun.get()

    with pytest.raises(Closed):
        await caller
    assert embedder.cancelled == 1


async def test_a_computation_that_is_cancelled_before_it_began_leaves_nothing() -> None:
    tasks = BackgroundTasks()
    flight: IntegerFlight = SingleFlight(tasks.watch, named_failure)

    async def compute(_: Sequence[str], __: Deliver[str, Outcome]) -> None:
        raise AssertionError

    caller = asyncio.create_task(flight.get(["a"], compute))
    await asyncio.sleep(0)  # it has started the computation, which has not run yet
    assert len(flight) == 1
    await stop([caller])
    await tasks.close()

    assert len(flight) == 0


async def test_a_computation_that_forgets_a_key_or_fails_is_an_error_for_all() -> None:
    tasks = BackgroundTasks()
    flight: IntegerFlight = SingleFlight(tasks.watch, named_failure)

    async def forgets(_: Sequence[str], deliver: Deliver[str, Outcome]) -> None:
        deliver("a", 1)

    async def fails(_: Sequence[str], deliver: Deliver[str, Outcome]) -> None:
        deliver("a", 1)
        raise ZeroDivisionError

    for compute, cause in ((forgets, type(None)), (fails, ZeroDivisionError)):
        found = await flight.get(["a", "b"], compute)
        failure = found["b"]
        assert found["a"] == 1
        assert isinstance(failure, EmbeddingFailed)
        assert isinstance(failure.__cause__, cause)
    assert await flight.get([], forgets) == {}
    assert len(flight) == 0
    await tasks.close()


async def test_a_launched_computation_goes_on_without_askers_and_closing_ends_it() -> None:
    tasks = BackgroundTasks()
    flight: IntegerFlight = SingleFlight(tasks.watch, named_failure)
    go, runs = asyncio.Event(), 0

    async def compute(keys: Sequence[str], deliver: Deliver[str, Outcome]) -> None:
        nonlocal runs
        runs += 1
        await go.wait()
        deliver(keys[0], runs)

    flight.launch(["a"], compute)
    flight.launch(["a"], compute)
    only = asyncio.create_task(flight.get(["a"], compute))
    await asyncio.sleep(0)
    await stop([only])
    assert len(flight) == 1
    go.set()
    assert await flight.get(["a"], compute) == {"a": 1}
    go.clear()
    waiting = asyncio.create_task(flight.get(["a"], compute))
    await asyncio.sleep(0)
    await flight.close()

    assert [type(outcome) for outcome in (await waiting).values()] == [Closed]
    assert len(flight) == 0
    await tasks.close()

"""Race 18: a batch that fails takes no other with it, and a retry does what is missing and nothing twice; and vectors
that two processes computed at once are kept once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from livingworld import LivingWorld, Settings, World
from livingworld.errors import BatchSizeMismatch, DimensionMismatch, EmbedderUnavailable, EmbeddingFailed
from livingworld.models.embeddings.cache import EmbeddingCache, content_digest
from livingworld.observability import events
from livingworld.testing.recorded_events import RecordedEvents, recorded_events
from livingworld.testing.staged_races import connected, holding
from tests.support.embedders import StagedEmbedder, vectors
from tests.support.staging import race, same_world
from tests.support.turn_checks import rows

TEXTS = [f"text {number}" for number in range(100)]
STORED = "SELECT digest FROM livingworld.embedding_cache WHERE world_id = $1"
INSERT = "INSERT INTO livingworld.embedding_cache VALUES ($1, 'staged', $2, 2, '{1,0}')"


class FailsOnce:
    """Spoils the first answer to the fifth batch."""

    def __init__(self, spoil: Any) -> None:  # noqa: ANN401
        self._spoil = spoil
        self._spoilt = False

    async def __call__(self, texts: Sequence[str]) -> Any:  # noqa: ANN401
        if "text 45" in texts and not self._spoilt:
            self._spoilt = True
            return self._spoil(vectors(texts))
        return vectors(texts)


def fail(_: object) -> Any:  # noqa: ANN401
    message = "the model fell over"
    raise RuntimeError(message)


SPOILT: dict[str, tuple[Any, type[Exception]]] = {
    "one too few": (lambda good: good[1:], BatchSizeMismatch),
    "one too many": (lambda good: [*good, good[0]], BatchSizeMismatch),
    "too short": (lambda good: [*good[:5], good[5][1:], *good[6:]], DimensionMismatch),
    "failed": (fail, EmbeddingFailed),
}


@pytest.fixture
def recorded() -> Iterator[RecordedEvents]:
    with recorded_events() as recorded:
        yield recorded


@pytest.mark.parametrize("how", SPOILT)
async def test_of_ten_batches_the_fifth_fails_and_the_retry_does_only_that(database_url: str, how: str) -> None:
    spoil, error = SPOILT[how]
    async with LivingWorld.open(Settings.load(database_url=database_url, embedding_batch_size=10)) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        embedder = StagedEmbedder(answer=FailsOnce(spoil))
        pipeline = world.embeddings(embedder)
        with pytest.raises(error) as caught:
            await pipeline.embed(TEXTS)
        stored = await rows(database_url, STORED, world.id)
        answers = await pipeline.embed(TEXTS)

        details = caught.value.__dict__
        assert details["missing"] == tuple(range(40, 50))
        assert sorted((*details["missing"], *details["embedded"])) == list(range(100))
        assert {digest for (digest,) in stored} == {content_digest(TEXTS[place], 8) for place in details["embedded"]}
        if isinstance(caught.value, BatchSizeMismatch):
            assert (caught.value.batch, caught.value.expected) == (5, 10)
            assert caught.value.actual in {9, 11}
        assert [len(batch) for batch in embedder.batches] == [10] * 11
        assert embedder.batches[-1] == tuple(TEXTS[40:50])
        assert len(answers) == len(set(await rows(database_url, STORED, world.id))) == 100


async def test_a_half_of_a_batch_is_not_stored_when_the_other_fails(
    database_url: str, world: World, recorded: RecordedEvents
) -> None:
    async def answer(texts: Sequence[str]) -> Any:  # noqa: ANN401
        if len(texts) > 2:
            raise MemoryError
        return vectors(texts)[: 1 if "d" in texts else 2]

    with pytest.raises(BatchSizeMismatch) as caught:
        await world.embeddings(StagedEmbedder(answer=answer)).embed(["a", "b", "c", "d"])

    assert (caught.value.expected, caught.value.actual, caught.value.missing) == (2, 1, (0, 1, 2, 3))
    assert await rows(database_url, STORED, world.id) == []
    assert [event["texts"] for event in recorded.of(events.EMBEDDING_BATCH_HALVED)] == [4]
    assert [event["error"] for event in recorded.of(events.EMBEDDING_BATCH_FAILED)] == ["BatchSizeMismatch"]


async def test_when_the_embedder_is_away_no_further_batch_is_begun(database_url: str) -> None:
    async def answer(texts: Sequence[str]) -> Any:  # noqa: ANN401
        if "text 20" in texts:
            raise EmbedderUnavailable(status=503)
        return vectors(texts)

    settings = Settings.load(database_url=database_url, embedding_batch_size=10, embedding_concurrency=1)
    async with LivingWorld.open(settings) as livingworld:
        embedder = StagedEmbedder(answer=answer)
        world = await livingworld.worlds.create("Saltmarsh")
        result = await world.embeddings(embedder).embed_each(TEXTS)

    assert result.missing == tuple(range(20, 100))
    assert {type(error) for error in result.failures.values()} == {EmbedderUnavailable}
    assert [vector is None for vector in result.vectors] == [False] * 20 + [True] * 80
    assert len(embedder.batches) == 3


async def test_what_two_processes_computed_at_once_is_kept_once(database_url: str, world: World) -> None:
    embedder = StagedEmbedder(2)
    key = [world.id, content_digest("x", 2)]
    async with same_world(database_url, world.id, pools=3) as worlds:
        calls = [each.embeddings(embedder).embed(["x", "y"]) for each in worlds]
        results = await race(database_url, INSERT, key, calls, blocked=3)

    assert len({str(result) for result in results}) == 1
    assert len(embedder.batches) == 3
    assert len(await rows(database_url, STORED, world.id)) == 2


async def test_a_vector_is_told_when_it_is_kept_and_until_then_others_wait_for_it(
    database_url: str, world: World
) -> None:
    embedder = StagedEmbedder(2)
    pipeline = world.embeddings(embedder)
    async with holding(database_url, INSERT, [world.id, content_digest("x", 2)]) as holder:
        first = asyncio.create_task(pipeline.embed(["x"]))
        await holder.until_blocked()
        second = asyncio.create_task(pipeline.embed(["x"]))
        await asyncio.sleep(0)
        assert [work.callers for work in pipeline._shared.single_flight._works.values()] == [2]
    assert await first == await second
    assert len(embedder.batches) == 1


async def test_who_finds_a_vector_there_when_its_turn_comes_leaves_it(database_url: str, world: World) -> None:
    key = [world.id, content_digest("x", 2)]
    await race(database_url, INSERT, key, [world.embeddings(StagedEmbedder(2)).embed(["x"])], blocked=1, commit=True)

    assert await world.embeddings(StagedEmbedder(2)).embed(["x"]) == ((1.0, 0.0),)


async def test_vectors_kept_in_opposite_orders_do_not_deadlock(
    database_url: str, world: World, recorded: RecordedEvents
) -> None:
    texts = sorted(("a", "b", "c"), key=lambda text: content_digest(text, 2))
    cache = EmbeddingCache(world._unit, "staged", 2)
    upwards = dict.fromkeys(texts, (1.0, 0.0))
    downwards = dict.fromkeys(reversed(texts), (1.0, 0.0))
    middle = [world.id, content_digest(texts[1], 2)]
    async with holding(database_url, INSERT, middle) as holder:
        first = asyncio.create_task(cache.keep(upwards))
        await holder.until_blocked(count=1)
        second = asyncio.create_task(cache.keep(downwards))
        await holder.until_blocked(count=2)
    await asyncio.gather(first, second)

    assert recorded.of(events.RETRIED) == []
    async with connected(database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM livingworld.embedding_cache") == 3

"""From texts to vectors, with a real cache; the embedders are the test's."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import pytest

from livingworld import EmbedderDispatcher, LivingWorld, Settings, World
from livingworld.errors import (
    DimensionMismatch,
    EmbeddingFailed,
    InvalidInput,
    InvalidType,
    InvalidVector,
    OutOfMemory,
    WorldNotFound,
)
from livingworld.models.embeddings.cache import EmbeddingCache, content_digest
from livingworld.testing.hashing_embedder import HashingEmbedder
from livingworld.testing.staged_races import connected
from tests.support.aftermath import engine_of
from tests.support.embedders import StagedEmbedder, vectors
from tests.support.sent_statements import sent_statements

COUNT = "SELECT count(*) FROM livingworld.embedding_cache WHERE world_id = $1"


async def cached(url: str, world: World) -> int:
    async with connected(url) as connection:
        found: int = await connection.fetchval(COUNT, world.id)
    return found


async def test_texts_become_vectors_in_order_and_are_computed_once(database_url: str, world: World) -> None:
    embedder = StagedEmbedder(384)
    texts = ["The lantern.", "The boat.", "The lantern."]
    first = await world.embeddings(embedder).embed(texts)
    second = await world.embeddings(embedder).embed(texts)

    assert first == second, "what is read is what was returned, to the last bit"
    assert first[0] == first[2] != first[1]
    assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-5) for vector in first)
    assert embedder.batches == [("The lantern.", "The boat.")]
    assert await cached(database_url, world) == 2


async def test_no_text_is_no_vector_and_no_work(world: World) -> None:
    embedder = StagedEmbedder()

    assert await world.embeddings(embedder).embed([]) == ()
    assert embedder.batches == []


async def test_worlds_models_and_sizes_do_not_share_vectors(livingworld: LivingWorld, world: World) -> None:
    other = await livingworld.worlds.create(world.record.name)
    embedders = [StagedEmbedder(8), StagedEmbedder(8, name="other"), StagedEmbedder(9)]
    for embedder in embedders:
        for each in (world, other):
            (vector,) = await each.embeddings(embedder).embed(["x"])
            assert len(vector) == embedder.dimensions
        assert len(embedder.batches) == 2


@pytest.mark.direct_connection("a pooler takes limits in the transaction, which are statements more")
async def test_lookup_and_keeping_are_one_statement_each(
    livingworld: LivingWorld, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = sent_statements(monkeypatch, engine_of(livingworld))
    texts = [f"text {number}" for number in range(50)]
    await world.embeddings(StagedEmbedder()).embed(texts)
    await world.embeddings(StagedEmbedder()).embed(texts)

    assert [statement.lstrip("-").split()[0] in {"SELECT", "Keep"} for statement in sent] == [True] * 3
    assert sum("INSERT INTO" in statement for statement in sent) == 1


async def test_nothing_is_open_while_the_embedder_works(database_url: str) -> None:
    async with LivingWorld.open(Settings.load(database_url=database_url, pool_size=1)) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        pool: Any = engine_of(livingworld).pool
        seen: list[tuple[int, int]] = []

        async def answer(texts: Sequence[str]) -> list[list[float]]:
            async with connected(database_url) as connection:
                open_transactions = await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
                )
            seen.append((pool.checkedout(), open_transactions))
            await world.stories.create("Written meanwhile, by the only connection")
            return vectors(texts)

        await world.embeddings(StagedEmbedder(answer=answer)).embed(["a", "b"])

    assert seen == [(0, 0)]


async def test_a_long_text_is_embedded_in_parts_that_make_one_vector(database_url: str) -> None:
    settings = Settings.load(database_url=database_url, embedding_chunk_characters=100)
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        embedder = StagedEmbedder(384)
        lantern, flour = "The lantern burns on the causeway. " * 20, "Two bakers quarrel over flour. " * 20
        whole, beginning, end, long = await world.embeddings(embedder).embed(
            [lantern + flour, lantern, flour, " " * 5000 + "word"]
        )

        assert all(len(part) <= 100 and part.strip() for batch in embedder.batches for part in batch)
        assert math.isclose(math.hypot(*whole), 1, rel_tol=1e-5)
        cosines = [math.fsum(map(float.__mul__, whole, part)) for part in (beginning, end, long)]
        assert min(cosines[:2]) > 0.5 > abs(cosines[2])


async def test_batches_have_their_size_and_only_so_many_go_at_once(database_url: str) -> None:
    settings = Settings.load(database_url=database_url, embedding_batch_size=7, embedding_concurrency=2)
    async with LivingWorld.open(settings) as livingworld:
        worlds = [await livingworld.worlds.create(name) for name in ("Saltmarsh", "Fen")]
        embedder = StagedEmbedder()
        embedder.go.clear()
        texts = [f"text {number}" for number in range(50)]
        calls = [asyncio.create_task(world.embeddings(embedder).embed(texts)) for world in worlds]
        for _ in range(2):
            await embedder.begun.get()
        embedder.go.set()
        await asyncio.gather(*calls)
        gates = [world.embeddings(embedder)._shared.gate("staged") for world in worlds]

    assert gates[0] is gates[1], "one limit for both worlds"
    assert sorted({len(batch) for batch in embedder.batches}) == [1, 7]
    assert len(embedder.batches) == 16
    assert embedder.most_under_way == 2


@pytest.mark.parametrize("error", [MemoryError, OutOfMemory], ids=lambda error: error.__name__)
async def test_out_of_memory_halves_the_batch_down_to_what_fits(world: World, error: type[Exception]) -> None:
    async def answer(texts: Sequence[str]) -> list[list[float]]:
        if len(texts) > 3:
            raise error
        return vectors(texts)

    embedder = StagedEmbedder(answer=answer)
    texts = ["x" * (number + 1) for number in range(20)]
    found = await world.embeddings(embedder).embed(texts)

    assert found == await world.embeddings(StagedEmbedder(name="another", answer=answer)).embed(texts)
    assert [len(batch) for batch in embedder.batches] == [20, 10, 5, 3, 2, 5, 3, 2, 10, 5, 3, 2, 5, 3, 2]
    firsts = [vector[0] for vector in found]
    assert firsts == sorted(firsts), "each text has its own vector"


async def test_a_text_that_never_fits_is_out_of_memory(database_url: str, world: World) -> None:
    async def answer(texts: Sequence[str]) -> list[list[float]]:
        if "huge" in texts:
            raise MemoryError
        return vectors(texts)

    embedder = StagedEmbedder(answer=answer)
    with pytest.raises(OutOfMemory) as caught:
        await world.embeddings(embedder).embed(["a", "b", "huge", "c"])

    assert embedder.batches[-1] != ("a", "b", "huge", "c")
    assert caught.value.missing == (0, 1, 2, 3), "the batch is stored whole or not at all"
    assert await cached(database_url, world) == 0


BAD: list[tuple[Any, type[Exception]]] = [
    ([[1.0] * 7], DimensionMismatch),
    ([[1.0] * 7 + [math.nan]], InvalidVector),
    ([[1.0] * 7 + [math.inf]], InvalidVector),
    ([[0.0] * 8], InvalidVector),
    (["12345678"], InvalidType),
    ([None], InvalidType),
    (None, EmbeddingFailed),
]


@pytest.mark.parametrize(("bad", "error"), BAD, ids=repr)
async def test_what_is_no_vector_is_named_and_not_kept(
    database_url: str,
    world: World,
    bad: Any,  # noqa: ANN401
    error: type[Exception],
) -> None:
    async def answer(_: Sequence[str]) -> Any:  # noqa: ANN401
        return bad

    with pytest.raises(error):
        await world.embeddings(StagedEmbedder(answer=answer)).embed(["x"])
    assert await cached(database_url, world) == 0


async def test_an_embedders_own_exception_is_the_cause(world: World) -> None:
    async def answer(_: Sequence[str]) -> Any:  # noqa: ANN401
        message = "no such model"
        raise LookupError(message)

    with pytest.raises(EmbeddingFailed) as caught:
        await world.embeddings(StagedEmbedder(answer=answer)).embed(["x"])

    assert isinstance(caught.value.__cause__, LookupError)
    assert (caught.value.embedded, caught.value.missing) == ((), (0,))


CASES: list[tuple[str, Any]] = [
    ("texts", "one text"),
    ("texts", None),
    ("texts", ["x"] * 10_001),
    ("texts[1]", ["x", ""]),
    ("texts[1]", ["x", " \n"]),
    ("texts[0]", ["a\x00b"]),
    ("texts[0]", ["\ud800"]),
    ("texts[0]", [7]),
    ("texts[0]", ["x" * 1_000_001]),
]


@pytest.mark.parametrize(("field", "bad"), CASES, ids=lambda value: repr(value)[:30])
async def test_a_text_that_cannot_be_embedded_is_refused_before_anything(world: World, field: str, bad: Any) -> None:  # noqa: ANN401
    embedder = StagedEmbedder()
    with pytest.raises(InvalidInput) as caught:
        await world.embeddings(embedder).embed(bad)

    assert caught.value.field == field
    assert embedder.batches == []


@pytest.mark.parametrize(
    ("name", "dimensions"), [("", 8), ("x" * 501, 8), ("a\x00", 8), (7, 8), ("a", 0), ("a", 16_001), ("a", "8")]
)
async def test_an_embedder_that_cannot_be_stored_is_refused(world: World, name: Any, dimensions: Any) -> None:  # noqa: ANN401
    embedder = StagedEmbedder()
    embedder.name, embedder.dimensions = name, dimensions

    with pytest.raises(InvalidInput, match="embedder"):
        world.embeddings(embedder)


async def test_a_world_that_is_gone_takes_no_vectors(livingworld: LivingWorld, world: World, database_url: str) -> None:
    await world.embeddings(StagedEmbedder()).embed(["kept until the purge"])
    await livingworld.worlds.purge(world.id)

    assert await cached(database_url, world) == 0
    with pytest.raises(WorldNotFound):
        await world.embeddings(StagedEmbedder()).embed(["x"])


async def test_the_table_refuses_what_is_no_vector(database_url: str, world: World) -> None:
    insert = "INSERT INTO livingworld.embedding_cache VALUES ($1, 'm', $2, 2, $3)"
    digest = content_digest("x", 2)
    async with connected(database_url) as connection:
        for bad in ([1.0], [1.0, math.nan], [math.inf, 1.0], [1.0, -math.inf], [None, 1.0]):
            with pytest.raises(Exception, match="ck_embedding_cache_vector"):
                await connection.execute(insert, world.id, digest, bad)
        with pytest.raises(Exception, match="digest_length"):
            await connection.execute(insert, world.id, digest[1:], [1.0, 2.0])


async def test_a_dispatcher_is_an_embedder(database_url: str, world: World) -> None:
    fast, safe = HashingEmbedder(), HashingEmbedder()
    found = await world.embeddings(EmbedderDispatcher(fast, safe)).embed(["The lantern.", "The boat."])

    assert found == await world.embeddings(safe).embed(["The lantern.", "The boat."])
    assert await cached(database_url, world) == 2


async def test_keeping_nothing_sends_nothing() -> None:
    no_unit: Any = None  # any statement is an AttributeError
    await EmbeddingCache(no_unit, "m", 2).keep({})

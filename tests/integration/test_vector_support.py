"""Vectors are compared by pgvector where that is safe, else in plain SQL, with the same answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from livingworld import NewMemory, RecallWeights, Story, World
from livingworld.errors import DimensionMismatch
from livingworld.story.memories import vector_similarity as vectors
from livingworld.story.memories.vector_similarity import PLAIN_BODY, processor_is_safe, provision_vectors
from livingworld.testing.staged_races import connected

PLAIN = f"""CREATE OR REPLACE FUNCTION livingworld.vector_similarity(real[], real[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE AS $${PLAIN_BODY}$$"""


async def body(url: str) -> str:
    async with connected(url) as connection:
        found: str = await connection.fetchval("SELECT pg_get_functiondef('livingworld.vector_similarity'::regproc)")
        return found


async def run(url: str, work: Callable[[Connection], bool]) -> bool:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        result = await connection.run_sync(work)
    await engine.dispose()
    return result


async def test_both_ways_give_the_same_answers(database_url: str, world: World, story: Story) -> None:
    if "OPERATOR" not in await body(database_url):
        pytest.skip("this server has no pgvector, or its processor could not run it")
    chance = random.Random(7)
    made = [[chance.gauss(0, 1) for _ in range(48)] for _ in range(200)]
    await world.memories.add(
        story.id, [NewMemory(f"{number}", vector=each, embedder="e") for number, each in enumerate(made)]
    )
    answers = []
    for way in (None, PLAIN):
        if way is not None:
            async with connected(database_url) as connection:
                await connection.execute(way)
        found = await world.memories.recall(story.id, made[3], embedder="e", k=50, weights=RecallWeights(1, 0, 0))
        answers.append([(each.memory.content, each.similarity) for each in found])
        with pytest.raises(DimensionMismatch):
            await world.memories.recall(story.id, made[3][:-1], embedder="e")

    assert [content for content, _ in answers[0]] == [content for content, _ in answers[1]]
    assert answers[0][0][0] == "3"
    assert [one for _, one in answers[0]] == pytest.approx([other for _, other in answers[1]], abs=1e-5)


@pytest.mark.parametrize(
    ("machine", "flags", "safe"),
    [
        ("x86_64", "flags : fpu avx avx2 bmi1 bmi2 fma sse4_2", True),
        ("x86_64", "flags : fpu avx avx2 fma sse4_2", False),
        ("x86_64", "flags : fpu sse4_2", False),
        ("aarch64", "Features : fp asimd sve", True),
        ("aarch64", "Features : fp asimd", False),
        ("riscv64", "isa : rv64imafdc", False),
    ],
)
def test_a_processor_is_safe_when_it_has_what_the_builds_use(
    tmp_path: Path, machine: str, flags: str, *, safe: bool
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\n{flags}\n")

    assert processor_is_safe(machine, cpuinfo) is safe
    assert processor_is_safe(machine, tmp_path / "missing") is False


async def test_no_extension_is_made_where_the_processor_could_not_run_it(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def provision(connection: Connection) -> bool:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS livingworld"))
        return provision_vectors(connection)

    monkeypatch.setattr(vectors, "processor_is_safe", lambda: False)
    assert await run(empty_database_url, provision) is False
    async with connected(empty_database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'vector'") == 0
        cosine = await connection.fetchval("SELECT livingworld.vector_similarity('{1,0}', '{0.6,0.8}')")
        assert cosine == pytest.approx(0.6)


async def test_who_may_not_make_the_extension_gets_plain_comparisons(empty_database_url: str) -> None:
    async with connected(empty_database_url) as connection:
        database = await connection.fetchval("SELECT current_database()")
        role = f"{database}_plain"
        await connection.execute(f'CREATE ROLE "{role}"')
        await connection.execute(f'CREATE SCHEMA livingworld AUTHORIZATION "{role}"')

    def provision(connection: Connection) -> bool:
        connection.execute(text(f'SET LOCAL ROLE "{role}"'))
        return provision_vectors(connection)

    assert await run(empty_database_url, provision) is False
    assert "OPERATOR" not in await body(empty_database_url)
    async with connected(empty_database_url) as connection:
        await connection.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')

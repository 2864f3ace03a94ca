from __future__ import annotations

import pytest

from livingworld import LivingWorld
from livingworld.testing.hashing_embedder import HashingEmbedder
from livingworld.testing.staged_races import connected
from tests.query_plans.large_world import analyze
from tests.query_plans.logged_plans import planned, rows_read

MANY = """
    INSERT INTO livingworld.embedding_cache (world_id, embedder, digest, dimensions, vector)
    SELECT $1, $2, sha256(n::text::bytea), 2, '{1,0}' FROM generate_series(1, 20000) n
"""


@pytest.mark.parametrize("statistics_of", ["nothing", "everything"])
async def test_vectors_are_found_and_kept_by_key(database_url: str, statistics_of: str) -> None:
    embedder = HashingEmbedder()
    async with LivingWorld.open(database_url=database_url) as livingworld:
        worlds = [await livingworld.worlds.create(name) for name in ("large", "another")]
    async with connected(database_url) as connection:
        for world in worlds:
            await connection.execute(MANY, world.id, embedder.name)
    if statistics_of == "everything":
        await analyze(database_url)

    async with planned(database_url, worlds[0].id) as (world, logged):
        for number in range(16):  # two of each: what is not known yet, and what is
            await world.embeddings(embedder).embed([f"text {number // 2} {place}" for place in range(60)])
        nodes = [node for node in logged.nodes() if node.get("Relation Name") == "embedding_cache"]

    assert len(nodes) >= 24  # 16 lookups and 8 times what is kept
    ways = {node["Node Type"] for node in nodes if node["Node Type"] != "ModifyTable"}
    assert ways <= {"Index Scan", "Bitmap Heap Scan"}
    assert max(rows_read(node) for node in nodes) <= 60

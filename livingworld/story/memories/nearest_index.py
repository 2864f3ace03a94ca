"""The index of a world's vectors, by which recall finds what is near without comparing every memory."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import URL, text

from livingworld.errors import InvalidInput
from livingworld.postgres.connections.engine import unpooled_engine
from livingworld.postgres.connections.scope import SET_SCOPE, scope_of
from livingworld.story.memories.vector_similarity import CAN_GO_ON, INSTALLED, NEAREST_INDEX

#: Most numbers of a vector that pgvector has in such an index.
MAX_INDEXED_DIMENSIONS: Final = 2000
_EMBEDDER: Final = text("""
    SELECT e.embedder, e.dimensions, md5(e.world_id || e.embedder) AS digest, quote_literal(e.embedder) AS quoted
    FROM livingworld.memory_embedders AS e WHERE e.world_id = :world_id AND e.embedder IS NOT NULL
""")


async def index_memories(url: URL, world_id: UUID) -> str:
    """Rebuild the index of a world's vectors of its embedder, while others read and write; return its name.

    Raises InvalidInput when the server has no pgvector of 0.8 or later, or the world no embedder of at most 2,000
    numbers.
    """
    engine = unpooled_engine(url)
    try:
        async with engine.connect() as opened:
            async with opened.begin():
                await opened.execute(SET_SCOPE, scope_of(world_id, None)._asdict())
                row = (await opened.execute(_EMBEDDER, {"world_id": world_id})).one_or_none()
            connection = await opened.execution_options(isolation_level="AUTOCOMMIT")
            if not await connection.scalar(CAN_GO_ON):
                raise InvalidInput("url", "names a database without pgvector 0.8 or later; recall is exact there")
            schema = await connection.scalar(INSTALLED)
            if row is None or row.dimensions > MAX_INDEXED_DIMENSIONS:
                reason = f"is of no world with an embedder of at most {MAX_INDEXED_DIMENSIONS} numbers"
                raise InvalidInput("world_id", reason)
            name = f"{NEAREST_INDEX}{row.digest}"
            await connection.execute(text("SET statement_timeout = 0"))  # an hour for some millions
            await connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS livingworld.{name}"))
            vector = f"(vector::{schema}.vector({row.dimensions}))".replace(":", "\\:")
            await connection.execute(
                text(
                    f"CREATE INDEX CONCURRENTLY {name} ON livingworld.memory_vectors USING hnsw"
                    f" ({vector} {schema}.vector_ip_ops) WHERE world_id = '{world_id}'"
                    f" AND embedder = {row.quoted.replace(':', chr(92) + ':')}"
                )
            )
            return name
    finally:
        await engine.dispose()

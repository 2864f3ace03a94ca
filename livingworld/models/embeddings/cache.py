"""Vectors that were computed once: looked up and kept by the digest of their text, many with one statement."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from hashlib import blake2b
from importlib.resources import files
from itertools import chain
from typing import Final

from livingworld.models.embeddings.tables import embedding_cache
from livingworld.models.embeddings.vectors import Vector
from livingworld.postgres.removal import remove_old
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit

# Each by its key: for a list of digests a planner without statistics reads the whole world instead.
_FIND: Final = """
    SELECT asked.digest, known.vector FROM unnest($3::bytea[]) AS asked (digest)
    CROSS JOIN LATERAL (
        SELECT c.vector FROM livingworld.embedding_cache AS c
        WHERE c.world_id = $1 AND c.embedder = $2 AND c.digest = asked.digest OFFSET 0
    ) AS known
"""
_KEEP: Final = files(__package__).joinpath("sql/keep_vectors.sql").read_text()


def content_digest(text: str, dimensions: int) -> bytes:
    """Return the key of a text: 32 bytes, others for vectors of another size by a model of the same name."""
    return blake2b(text.encode(), digest_size=32, salt=dimensions.to_bytes(16)).digest()


class EmbeddingCache:
    """The vectors that one embedder gave to the texts of one world."""

    def __init__(self, unit: WorldUnit, embedder: str, dimensions: int) -> None:
        self._unit = unit
        self._embedder = embedder
        self._dimensions = dimensions

    async def find(self, texts: Collection[str]) -> dict[str, Vector]:
        """Return the vectors that are known; a text without one is left out. One statement, no lock."""
        by_digest = {content_digest(text, self._dimensions): text for text in texts}
        found = await self._unit.read(_find, self._embedder, list(by_digest))
        return {by_digest[digest]: vector for digest, vector in found.items()}

    async def keep(self, vectors: Mapping[str, Vector]) -> None:
        """Store the vectors of texts in one statement; one that is stored already stays. Raises WorldNotFound."""
        if not vectors:
            return
        digests = [content_digest(text, self._dimensions) for text in vectors]
        numbers = list(chain.from_iterable(vectors.values()))
        values = (self._embedder, digests, self._dimensions, numbers)
        await self._unit.write_single_idempotent(_keep, *values)


async def remove_old_vectors(tx: Transaction, age: timedelta, limit: int) -> int:
    """Remove at most `limit` vectors that were computed so long ago, and return how many; they are computed again."""
    return await remove_old(tx, embedding_cache, embedding_cache.c.created_at, age, limit)


async def _find(tx: Transaction, embedder: str, digests: list[bytes]) -> dict[bytes, Vector]:
    rows = await tx.execute_text(_FIND, (tx.world_id, embedder, digests))
    return {bytes(row.digest): tuple(row.vector) for row in rows}


async def _keep(tx: Transaction, *values: object) -> None:
    await tx.execute_text(_KEEP, (tx.world_id, *values))

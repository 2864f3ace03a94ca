"""Which memories are to be embedded, by whom, and whose vectors recall compares.

A world has one embedder. Another one takes over when every memory has a vector of it; until then recall compares the
former one's. A transaction that writes memories shares the lock of the world's row here, one that changes the embedder
takes it exclusively: so no memory is written without its job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from livingworld.errors import WorldNotFound
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.memories.memory_embedder import changing_embedder, share_embedder
from livingworld.story.memories.tables import memory_embedders, memory_embedding_jobs

_MISSING: Final = """
    INSERT INTO livingworld.memory_embedding_jobs (world_id, embedder, memory_id)
    SELECT m.world_id, $2, m.memory_id FROM livingworld.memories AS m
    WHERE m.world_id = $1 AND NOT EXISTS (
        SELECT FROM livingworld.memory_vectors AS v
        WHERE v.world_id = $1 AND v.memory_id = m.memory_id AND v.embedder = $2
    )
    ON CONFLICT ON CONSTRAINT pk_memory_embedding_jobs DO NOTHING
"""
_OF_STORY: Final = """
    INSERT INTO livingworld.memory_embedding_jobs (world_id, embedder, memory_id)
    SELECT m.world_id, e.name, m.memory_id
    FROM livingworld.memory_embedders AS w
    CROSS JOIN LATERAL unnest(ARRAY[w.embedder, w.next_embedder]) AS e (name)
    JOIN livingworld.memories AS m ON m.world_id = $1 AND m.story_id = $2
    WHERE w.world_id = $1 AND e.name IS NOT NULL
"""
# Materialized: else the choice may be made again for each row that is joined, and more is claimed than was asked for.
_CLAIM: Final = """
    WITH free AS MATERIALIZED (
        SELECT o.memory_id FROM livingworld.memory_embedding_jobs AS o
        WHERE o.world_id = $1 AND o.embedder = $2 AND (o.claimed_until IS NULL OR o.claimed_until <= now())
        ORDER BY o.memory_id LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE livingworld.memory_embedding_jobs AS j
    SET attempts = j.attempts + 1, claimed_until = now() + $4::interval
    FROM free
    CROSS JOIN LATERAL (
        SELECT m.content, m.digest FROM livingworld.memories AS m
        WHERE m.world_id = $1 AND m.memory_id = free.memory_id OFFSET 0
    ) AS memory
    WHERE j.world_id = $1 AND j.embedder = $2 AND j.memory_id = free.memory_id
    RETURNING j.memory_id, j.attempts, memory.content, memory.digest
"""
# A memory that is being removed is left out: the removal waits for none of our rows, and we for none of its rows. So is
# one that has another text since it was claimed.
_KEPT: Final = """
    WITH kept AS MATERIALIZED (
        SELECT m.memory_id, given.attempts
        FROM unnest($3::uuid[], $4::integer[], $5::bytea[]) AS given (memory_id, attempts, digest)
        JOIN livingworld.memories AS m
            ON m.world_id = $1 AND m.memory_id = given.memory_id AND m.digest = given.digest
        FOR KEY SHARE OF m SKIP LOCKED
    )
"""
_FINISH: Final = f"""
    {_KEPT}, done AS (
        DELETE FROM livingworld.memory_embedding_jobs AS j USING kept
        WHERE j.world_id = $1 AND j.embedder = $2 AND j.memory_id = kept.memory_id AND j.attempts = kept.attempts
        RETURNING j.memory_id
    )
    INSERT INTO livingworld.memory_vectors (world_id, memory_id, embedder, vector)
    SELECT $1, done.memory_id, $2, ARRAY(
        SELECT number::real FROM json_array_elements_text($6::json -> done.memory_id::text) AS number
    ) FROM done
    ON CONFLICT ON CONSTRAINT pk_memory_vectors DO NOTHING
    RETURNING memory_id
"""  # noqa: S608 - our own words
#: Seconds are added: Citus knows no answer of a time and an interval before it has the row.
_FAIL: Final = f"""
    {_KEPT}
    UPDATE livingworld.memory_embedding_jobs AS j
    SET error = $6, claimed_until = to_timestamp(
        extract(epoch FROM now())::float8 + extract(epoch FROM $7::interval)::float8 * least(kept.attempts, 10)
    )
    FROM kept
    WHERE j.world_id = $1 AND j.embedder = $2 AND j.memory_id = kept.memory_id AND j.attempts = kept.attempts
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class EmbeddingJob:
    """A memory that is claimed to be embedded."""

    memory_id: UUID
    #: The number of the claim: only the last one may finish.
    attempt: int
    content: str
    #: Of the text.
    digest: bytes


async def begin(tx: Transaction, embedder: str, dimensions: int, *, only_first: bool = False) -> None:
    """Make an embedder the world's, at once when it is the first, else when every memory has a vector of it.

    With `only_first`, one that is not the first changes nothing. Raises WorldNotFound.
    """
    own = memory_embedders.c.world_id == tx.world_id
    async with changing_embedder(tx):
        await tx.execute(insert(memory_embedders).values(world_id=tx.world_id).on_conflict_do_nothing())
        row = (await tx.execute(select(memory_embedders).where(own).with_for_update(key_share=True))).one_or_none()
    if row is None:  # it was there when the insert looked, and is only removed with its world
        raise WorldNotFound(world_id=tx.world_id)
    if only_first and row.embedder is not None:
        return
    values: dict[str, object] = {"next_embedder": None, "next_dimensions": None}
    if row.embedder is None:
        values |= {"embedder": embedder, "dimensions": dimensions}
    elif row.embedder != embedder:
        values = {"next_embedder": embedder, "next_dimensions": dimensions}
    await tx.execute(update(memory_embedders).where(own).values(**values, updated_at=func.now()))
    await tx.execute_text(_MISSING, (tx.world_id, embedder))


async def claim(tx: Transaction, embedder: str, limit: int, patience: timedelta) -> list[EmbeddingJob]:
    """Claim jobs that are free; a claim that is not finished after `patience` is lost."""
    rows = await tx.execute_text(_CLAIM, (tx.world_id, embedder, limit, patience))
    return [EmbeddingJob(UUID(int=row.memory_id.int), row.attempts, row.content, row.digest) for row in rows]


async def finish(tx: Transaction, embedder: str, jobs: Sequence[EmbeddingJob], vectors: str) -> int:
    """Store the vectors of jobs that are still claimed by us and return how many were; `vectors` is JSON by id."""
    done = await tx.execute_text(_FINISH, (tx.world_id, embedder, *_claims(jobs), vectors))
    return len(done.all())


async def fail(tx: Transaction, embedder: str, jobs: Sequence[EmbeddingJob], error: str, pause: timedelta) -> None:
    """Leave jobs for later, after each failure a little longer."""
    await tx.execute_text(_FAIL, (tx.world_id, embedder, *_claims(jobs), error, pause))


async def add_jobs_of_story(tx: Transaction, story_id: UUID) -> None:
    """Let every memory of a story, which has no vectors yet, be embedded; shares the lock on the world's embedder."""
    await share_embedder(tx)
    await tx.execute_text(_OF_STORY, (tx.world_id, story_id))


async def switch(tx: Transaction, embedder: str) -> bool:
    """Let an embedder take over if it is the next one and every memory has its vector; return whether it is the one."""
    own = memory_embedders.c.world_id == tx.world_id
    row = (await tx.execute(select(memory_embedders).where(own).with_for_update(key_share=True))).one_or_none()
    if row is None or row.next_embedder != embedder:
        return row is not None and row.embedder == embedder
    if await _has_jobs(tx, embedder):
        return False
    values = {
        "embedder": row.next_embedder,
        "dimensions": row.next_dimensions,
        "next_embedder": None,
        "next_dimensions": None,
    }
    await tx.execute(update(memory_embedders).where(own).values(**values, updated_at=func.now()))
    former = (memory_embedding_jobs.c.world_id == tx.world_id, memory_embedding_jobs.c.embedder == row.embedder)
    await tx.execute(delete(memory_embedding_jobs).where(*former))
    return True


async def current_embedder(tx: Transaction) -> str | None:
    """Return the name of the world's embedder, or None when it has none."""
    own = memory_embedders.c.world_id == tx.world_id
    name: str | None = await tx.scalar(select(memory_embedders.c.embedder).where(own))
    return name


async def _has_jobs(tx: Transaction, embedder: str) -> bool:
    own = (memory_embedding_jobs.c.world_id == tx.world_id, memory_embedding_jobs.c.embedder == embedder)
    return await tx.scalar(select(memory_embedding_jobs.c.memory_id).where(*own).limit(1)) is not None


def _claims(jobs: Sequence[EmbeddingJob]) -> tuple[list[UUID], list[int], list[bytes]]:
    return [job.memory_id for job in jobs], [job.attempt for job in jobs], [job.digest for job in jobs]

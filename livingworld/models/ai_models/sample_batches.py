"""The one statement that stores samples."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Final
from uuid import UUID

from livingworld.errors import DatabaseFailure, ModelNotFound
from livingworld.models.ai_models.new_sample import PreparedSample
from livingworld.models.ai_models.records import SampleResult
from livingworld.postgres.locks import in_order
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit

_STORE: Final = files(__package__).joinpath("sql/store_samples.sql").read_text()


async def store(unit: WorldUnit, samples: Sequence[PreparedSample]) -> tuple[SampleResult, ...]:
    """Store samples and return one result for each, in order; what was stored before is stored."""
    return await unit.write_single_idempotent(_store, samples) if samples else ()


async def _store(tx: Transaction, samples: Sequence[PreparedSample]) -> tuple[SampleResult, ...]:
    keys = [str(sample.id) for sample in samples]
    async with in_order(tx, LockKind.SAMPLE, *keys):  # waits for a transaction that stores the same one
        rows = (await tx.execute_text(_STORE, (tx.world_id, f"[{','.join(sample.text for sample in samples)}]"))).all()
    for key in keys:
        tx.lock_order.hold(LockKind.SAMPLE, key)
    if [row.sample_id.int for row in rows] != [sample.id.int for sample in samples]:
        raise DatabaseFailure(sqlstate=None, constraint=None)
    return tuple(
        SampleResult(id=sample.id, error=None if row.stored else ModelNotFound(model_id=UUID(int=row.model_id.int)))
        for sample, row in zip(samples, rows, strict=True)
    )

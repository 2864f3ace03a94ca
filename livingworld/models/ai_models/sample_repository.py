"""Training samples: stored in batches by one statement, with one result for each."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from livingworld.errors import DatabaseFailure, ModelNotFound
from livingworld.inputs import check_integer, check_label, check_sequence
from livingworld.models.ai_models.new_sample import PreparedSample, prepare
from livingworld.models.ai_models.records import NewSample, SampleResult, TrainingSample
from livingworld.models.ai_models.rows import make_sample
from livingworld.models.ai_models.tables import training_samples
from livingworld.postgres.keyset import MAX_PAGE_SIZE, Page, check_limit, id_cursor, page_by
from livingworld.postgres.locks import in_order
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit

_STORE: Final = files(__package__).joinpath("sql/store_samples.sql").read_text()


class TrainingSampleRepository:
    """The training samples of one world."""

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def add_many(self, samples: Sequence[NewSample]) -> tuple[SampleResult, ...]:
        """Store at most 1000 samples by one statement, and return one result for each, in order.

        A sample that cannot be stored, because the world has no such model, says so in its result, and the others are
        stored. The same call again stores nothing twice where the samples have ids. Raises InvalidInput, naming the
        sample, before anything is stored.
        """
        prepared = [
            prepare(f"samples[{place}]", sample)
            for place, sample in enumerate(check_sequence("samples", samples, limit=MAX_PAGE_SIZE))
        ]
        return await store(self._unit, prepared)

    async def list(
        self, role: str, *, model_version: int | None = None, after: str | None = None, limit: int = 50
    ) -> Page[TrainingSample]:
        """Return a page of a role's samples, oldest first; empty when there is none."""
        most = check_limit(limit)
        wanted: dict[str, Any] = {"role": check_label("role", role)}
        if model_version is not None:
            wanted["model_version"] = check_integer("model_version", model_version, minimum=1)
        return await self._unit.read(_read_page, wanted, None if after is None else id_cursor(after), most)


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


async def _read_page(tx: Transaction, wanted: dict[str, Any], after: UUID | None, limit: int) -> Page[TrainingSample]:
    table = training_samples
    statement = select(table).where(table.c.world_id == tx.world_id).filter_by(**wanted)
    if after is not None:
        statement = statement.where(table.c.sample_id > after)
    rows = await tx.execute(statement.order_by(table.c.sample_id).limit(limit + 1))
    return page_by([make_sample(row) for row in rows], limit, lambda sample: sample.id)

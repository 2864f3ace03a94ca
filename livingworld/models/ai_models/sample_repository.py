"""Training samples: stored in batches by one statement, with one result for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from livingworld.inputs import check_integer, check_label, check_sequence
from livingworld.models.ai_models.new_sample import prepare
from livingworld.models.ai_models.records import NewSample, SampleResult, TrainingSample
from livingworld.models.ai_models.rows import make_sample
from livingworld.models.ai_models.sample_batches import store
from livingworld.models.ai_models.tables import training_samples
from livingworld.postgres.keyset import MAX_PAGE_SIZE, Page, check_limit, id_cursor, page_by
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit


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


async def _read_page(tx: Transaction, wanted: dict[str, Any], after: UUID | None, limit: int) -> Page[TrainingSample]:
    table = training_samples
    statement = select(table).where(table.c.world_id == tx.world_id).filter_by(**wanted)
    if after is not None:
        statement = statement.where(table.c.sample_id > after)
    rows = await tx.execute(statement.order_by(table.c.sample_id).limit(limit + 1))
    return page_by([make_sample(row) for row in rows], limit, lambda sample: sample.id)

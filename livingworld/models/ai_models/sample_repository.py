"""Training samples: stored in batches by one statement, with one result for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from livingworld.errors import InvalidCursor
from livingworld.inputs import check_integer, check_label, check_sequence, check_text
from livingworld.models.ai_models.new_sample import prepare
from livingworld.models.ai_models.records import NewSample, SampleResult, TrainingSample, make_sample
from livingworld.models.ai_models.sample_batches import store
from livingworld.models.ai_models.tables import training_samples
from livingworld.postgres.keyset import MAX_PAGE_SIZE, Page, check_limit
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork


class TrainingSampleRepository:
    """The training samples of one world."""

    def __init__(self, unit: UnitOfWork, world_id: UUID) -> None:
        self._unit = unit
        self._world_id = world_id

    async def add_many(self, samples: Sequence[NewSample]) -> tuple[SampleResult, ...]:
        """Store at most 1000 samples by one statement, and return one result for each, in order.

        One that cannot be stored, since this world has no such model, says so in its result, and the others are stored.
        The same call again stores nothing twice where the samples have ids. Raises InvalidInput, naming the sample,
        before anything is stored.
        """
        prepared = [
            prepare(f"samples[{place}]", sample)
            for place, sample in enumerate(check_sequence("samples", samples, limit=MAX_PAGE_SIZE))
        ]
        return await store(self._unit, self._world_id, prepared)

    async def list(
        self, role: str, *, model_version: int | None = None, after: str | None = None, limit: int = 50
    ) -> Page[TrainingSample]:
        """Return a page of a role's samples, oldest first; empty when there is none."""
        table, most = training_samples, check_limit(limit)
        wanted: list[Any] = [table.c.world_id == self._world_id, table.c.role == check_label("role", role)]
        if model_version is not None:
            wanted.append(table.c.model_version == check_integer("model_version", model_version, minimum=1))
        if after is not None:
            wanted.append(table.c.sample_id > _sample_id(after))
        statement = select(table).where(*wanted).order_by(table.c.sample_id).limit(most + 1)

        async def work(tx: Transaction) -> Page[TrainingSample]:
            found = [make_sample(row) for row in await tx.execute(statement)]
            shown = tuple(found[:most])
            return Page(shown, str(shown[-1].id) if len(found) > most else None)

        return await self._unit.run(work, repeatable=True, single_statement=True)


def _sample_id(cursor: str) -> UUID:
    check_text("after", cursor)
    try:
        return UUID(cursor)
    except ValueError:
        reason = "is not the cursor of a page"
    raise InvalidCursor("after", reason)

"""Preferences: which of two answers to one prompt was chosen, for fine-tuning."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from functools import partial
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork

#: Pairs of one slice.
_SLICE: Final = 100
_PREFERENCES: Final = files(__package__).joinpath("sql/preferences.sql").read_text()


async def preference_lines(unit: UnitOfWork, world_id: UUID, story_id: UUID | None) -> AsyncIterator[str]:
    """Give one JSON object a line for each pair of a chosen and a rejected answer to one prompt."""
    after = UUID(int=0)
    while True:
        read = partial(_slice, world_id, story_id, after)
        rows = await unit.run(read, repeatable=True, single_statement=True)
        for row in rows:
            pair = {"prompt_digest": row.prompt_digest, "chosen": row.chosen, "rejected": row.rejected}
            yield json.dumps(pair, ensure_ascii=False)
        if len(rows) < _SLICE:
            return
        after = rows[-1].generation_id


async def _slice(world_id: UUID, story_id: UUID | None, after: UUID, tx: Transaction) -> Sequence[Row[Any]]:
    """Read the next rejected answers in the order of their ids; see preferences.sql."""
    return (await tx.execute_text(_PREFERENCES, (world_id, after, story_id, _SLICE))).all()

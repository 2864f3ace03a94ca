"""Generations: what models have answered, kept also when it was not used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from livingworld import inputs
from livingworld.errors import GenerationNotFound
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork
from livingworld.story.turns.preferences import preference_lines
from livingworld.story.turns.records import Generation

_GENERATION: Final = files(__package__).joinpath("sql/generation.sql").read_text()
_ALTERNATIVES: Final = files(__package__).joinpath("sql/alternatives.sql").read_text()


class GenerationRepository:
    """The generations of one world."""

    def __init__(self, unit: UnitOfWork, world_id: UUID) -> None:
        self._unit = unit
        self._world_id = world_id

    async def get(self, generation_id: UUID) -> Generation:
        """Return a generation; raises GenerationNotFound."""
        key = inputs.check_uuid("generation_id", generation_id)
        return await self._unit.run(
            partial(read_generation, self._world_id, key), repeatable=True, single_statement=True
        )

    async def alternatives(self, story_id: UUID, scene_number: int) -> tuple[Generation, ...]:
        """Return every generation for the place of a scene, failed ones too, oldest first.

        Empty when no turn made the scene and it was never told anew, and when there is no such scene.
        """
        key, number = inputs.check_uuid("story_id", story_id), inputs.check_integer("scene_number", scene_number)
        return await self._unit.run(
            partial(_read_alternatives, self._world_id, key, number), repeatable=True, single_statement=True
        )

    def preferences(self, story_id: UUID | None = None) -> AsyncIterator[str]:
        """Give pairs of answers to one prompt, a JSON object a line: prompt_digest, chosen, rejected.

        Chosen is what a scene shows; rejected is what was made into a scene that another one has replaced. Both are the
        text. Read in slices, so memory stays bounded; a pair that is made meanwhile may be missed. Of one story when
        named.
        """
        key = None if story_id is None else inputs.check_uuid("story_id", story_id)
        return preference_lines(self._unit, self._world_id, key)


async def read_generation(world_id: UUID, generation_id: UUID, tx: Transaction) -> Generation:
    """Return one generation; raises GenerationNotFound."""
    row = (await tx.execute_text(_GENERATION, (world_id, generation_id))).one_or_none()
    if row is None:
        raise GenerationNotFound(generation_id=generation_id)
    return make_generation(row)


async def _read_alternatives(
    world_id: UUID, story_id: UUID, scene_number: int, tx: Transaction
) -> tuple[Generation, ...]:
    rows = await tx.execute_text(_ALTERNATIVES, (world_id, story_id, scene_number))
    return tuple(make_generation(row) for row in rows)


def make_generation(row: Row[Any]) -> Generation:
    """Return the record that a row of the table generations makes."""
    return Generation(
        id=UUID(int=row.generation_id.int),
        story_id=UUID(int=row.story_id.int),
        request_key=row.request_key,
        attempt=row.attempt,
        state=row.state,
        scene_number=row.scene_number,
        model=row.model,
        script_version=row.script_version,
        parameters=row.parameters,
        prompt_digest=None if row.prompt_digest is None else row.prompt_digest.hex(),
        raw_response=row.raw_response,
        content=row.content,
        parsed=row.parsed,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        duration=None if row.duration_ms is None else timedelta(milliseconds=row.duration_ms),
        error=row.error,
        created_at=row.created_at,
    )

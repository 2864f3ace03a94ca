"""Generations: what models have answered, kept also when it was not used, and the choice among them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from livingworld import inputs
from livingworld.errors import GenerationNotFound
from livingworld.identifiers import new_id
from livingworld.postgres.keyset import Page, check_limit, read_cursor, write_cursor
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.stories.reading import read_scene
from livingworld.story.stories.records import Scene
from livingworld.story.turns.records import Generation
from livingworld.story.turns.requests import ChooseRequest
from livingworld.story.turns.rows import make_generation
from livingworld.story.turns.turn_repository import NEWEST, check_key
from livingworld.story.turns.writing import choose_generation

#: Pairs of one slice of preferences.
_SLICE: Final = 100
_GENERATION: Final = files(__package__).joinpath("sql/generation.sql").read_text()
_ALTERNATIVES: Final = files(__package__).joinpath("sql/alternatives.sql").read_text()
_STORY_GENERATIONS: Final = files(__package__).joinpath("sql/story_generations.sql").read_text()
_PREFERENCES: Final = files(__package__).joinpath("sql/preferences.sql").read_text()


class GenerationRepository:
    """The generations of one world."""

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def get(self, generation_id: UUID) -> Generation:
        """Return a generation; raises GenerationNotFound."""
        return await self._unit.read(read_generation, inputs.check_uuid("generation_id", generation_id))

    async def alternatives(self, story_id: UUID, scene_number: int) -> tuple[Generation, ...]:
        """Return every generation for the place of a scene, failed ones too, oldest first.

        Empty when no turn made the scene and it was never regenerated, and when there is no such scene.
        """
        key, number = inputs.check_uuid("story_id", story_id), inputs.check_integer("scene_number", scene_number)
        return await self._unit.read(_read_alternatives, key, number)

    async def of(self, story_id: UUID, *, after: str | None = None, limit: int = 50) -> Page[Generation]:
        """Return a page of the story's generations, also failed ones and those shown no more; one round trip.

        Those of the newest turns first, and of a turn the last attempt first. Empty when there is no such story.
        """
        place = (*NEWEST, 0) if after is None else read_cursor(after, datetime.fromisoformat, check_key, _check_attempt)
        asked = (inputs.check_uuid("story_id", story_id), *place, check_limit(limit) + 1)
        rows = await self._unit.read(_read_story_generations, *asked)
        last = rows[limit - 1] if len(rows) > limit else None
        rest = None if last is None else write_cursor(last.turn_created_at.isoformat(), last.request_key, last.attempt)
        return Page(tuple(map(make_generation, rows[:limit])), rest)

    def preferences(self, story_id: UUID | None = None) -> AsyncIterator[str]:
        """Give pairs of answers to one prompt, a JSON object a line: prompt_digest, chosen, rejected.

        Chosen is what a scene shows; rejected is what was made into a scene that another one has replaced. Both are the
        text. Read in slices, so memory stays bounded; a pair that is made meanwhile may be missed. Of one story when
        named.
        """
        return self._preferences(None if story_id is None else inputs.check_uuid("story_id", story_id))

    async def _preferences(self, story_id: UUID | None) -> AsyncIterator[str]:
        after = UUID(int=0)
        while True:
            rows = await self._unit.read(_read_preferences, story_id, after)
            for row in rows:
                pair = {"prompt_digest": row.prompt_digest, "chosen": row.chosen, "rejected": row.rejected}
                yield json.dumps(pair, ensure_ascii=False)
            if len(rows) < _SLICE:
                return
            after = rows[-1].generation_id

    async def choose(
        self,
        generation_id: UUID,
        *,
        branch: int | None = None,
        expected_head: int | None = None,
        branch_name: str | None = None,
    ) -> Scene:
        """Make a generation the scene at its place and return the scene.

        At the head of the branch (default: the current one), with nothing hanging on it, the scene keeps its number:
        its text, choices and cast are replaced, the old text stays a generation and a revision. Where something hangs
        on it, the branch goes to a new scene beside it. Where the branch has gone on, the new scene gets a branch of
        its own, `branch_name` or "alternative n", and the branch stays. Shown already, the scene is returned as it is.

        Locks the story. A turn that runs on the branch is lost. Raises GenerationNotFound, GenerationIncomplete when it
        was never made into a scene, BranchNotFound, BranchNameTaken, StaleHead when the head is not `expected_head`,
        Archived.
        """
        if branch is not None:
            inputs.check_integer("branch", branch, minimum=1)
        if expected_head is not None:
            inputs.check_integer("expected_head", expected_head)
        if branch_name is not None:
            inputs.check_label("branch_name", branch_name)
        generation = await self.get(generation_id)
        spare_id = UUID(int=new_id().int)
        request = ChooseRequest(generation.story_id, generation.id, branch, branch_name, expected_head, spare_id)
        chosen = await self._unit.write_idempotent(choose_generation, request)
        return await self._unit.read(read_scene, generation.story_id, chosen.scene_number)


async def read_generation(tx: Transaction, generation_id: UUID) -> Generation:
    """Return one generation; raises GenerationNotFound."""
    row = (await tx.execute_text(_GENERATION, (tx.world_id, generation_id))).one_or_none()
    if row is None:
        raise GenerationNotFound(generation_id=generation_id)
    return make_generation(row)


def _check_attempt(attempt: object) -> int:
    return inputs.check_integer("after", attempt)


async def _read_story_generations(tx: Transaction, *asked: object) -> Sequence[Row[Any]]:
    return (await tx.execute_text(_STORY_GENERATIONS, (tx.world_id, *asked))).all()


async def _read_alternatives(tx: Transaction, story_id: UUID, scene_number: int) -> tuple[Generation, ...]:
    rows = await tx.execute_text(_ALTERNATIVES, (tx.world_id, story_id, scene_number))
    return tuple(make_generation(row) for row in rows)


async def _read_preferences(tx: Transaction, story_id: UUID | None, after: UUID) -> Sequence[Row[Any]]:
    """Read the next rejected answers in the order of their ids; see preferences.sql."""
    return (await tx.execute_text(_PREFERENCES, (tx.world_id, after, story_id, _SLICE))).all()

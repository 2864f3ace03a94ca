"""Choosing a generation: the one statement that does it, and what its answers mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from livingworld.errors import (
    Archived,
    BranchNotFound,
    GenerationIncomplete,
    GenerationNotFound,
    LivingWorldError,
    StaleHead,
    StoryNotFound,
)
from livingworld.postgres.locks import in_order, row_order_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction

_CHOOSE: Final = "SELECT * FROM livingworld.choose_generation_v1($1, $2, $3, $4, $5, $6, $7)"


@dataclass(frozen=True, slots=True)
class ChooseRequest:
    """A generation to show, and where."""

    story_id: UUID
    generation_id: UUID
    branch_number: int | None
    #: Name of the branch that is made when one is needed, or None for one of the library's making.
    branch_name: str | None
    expected_head: int | None
    #: Id of the generation that keeps the text of a scene that has none.
    spare_id: UUID


@dataclass(frozen=True, slots=True)
class ChooseResult:
    """What became of it; the fields are those of choose_generation_v1.sql."""

    status: str
    scene_number: int | None
    branch_number: int | None
    awaited: bool


async def choose(tx: Transaction, world_id: UUID, request: ChooseRequest) -> ChooseResult:
    """Make a generation the scene at its place; raises what refuses it. Locks the story."""
    tx.locks(LockKind.STORY, world_id, request.story_id)
    values = (
        request.story_id,
        request.generation_id,
        request.branch_number,
        request.branch_name,
        request.expected_head,
        request.spare_id,
    )
    key = row_order_key({"world_id": world_id, "story_id": request.story_id})
    async with in_order(tx, LockKind.STORY, key):
        result = ChooseResult(*tuple((await tx.execute_text(_CHOOSE, (world_id, *values))).one()))
    if result.status not in {"chosen", "replayed"}:
        raise _refusal(result, request)
    tx.lock_order.hold(LockKind.STORY, key)
    return result


def _refusal(result: ChooseResult, request: ChooseRequest) -> LivingWorldError:
    if result.status == "stale_head":
        return StaleHead(expected=request.expected_head, actual=result.scene_number or 0)
    if result.status in {"generation_not_found", "generation_incomplete"}:
        return _REFUSALS[result.status](generation_id=request.generation_id)
    return _REFUSALS[result.status](story_id=request.story_id)


_REFUSALS: Final[dict[str, type[LivingWorldError]]] = {
    "story_not_found": StoryNotFound,
    "archived": Archived,
    "branch_not_found": BranchNotFound,
    "generation_not_found": GenerationNotFound,
    "generation_incomplete": GenerationIncomplete,
}

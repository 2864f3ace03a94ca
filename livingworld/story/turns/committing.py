"""Committing turns: what is asked for, the one statement that does it, and what its answers mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from livingworld.errors import (
    Archived,
    BranchNotFound,
    CharacterNotFound,
    ChoiceNotFound,
    Fenced,
    LivingWorldError,
    StaleHead,
    StoryNotFound,
)
from livingworld.inputs import canonical_json
from livingworld.live.log import note_published
from livingworld.postgres.group_requests import NOT_TRIED, NotTried
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction

#: As asyncpg takes it; the driver knows the types from the function.
_COMMIT: Final = f"SELECT * FROM livingworld.commit_turns_v1({', '.join(f'${number}' for number in range(1, 17))})"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Holding:
    """The proof that a turn may be committed: which turn, by whom, and the token of the branch's lease."""

    story_id: UUID
    request_key: str
    owner: UUID
    token: int
    attempt: int
    base_scene_number: int | None


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """One turn to commit, in plain values; `cast` holds members by id or by name with all that making one takes."""

    holding: Holding
    content: str
    location: str | None
    story_time: str | None
    metadata: dict[str, Any]
    raw_response: str | None
    choices: tuple[str, ...]
    cast: tuple[dict[str, Any], ...]
    #: Id of the generation that keeps the text of a scene that is told anew and has none.
    spare_id: UUID
    #: What is known of the generation: the columns of its table.
    generation: dict[str, Any]

    @property
    def story_id(self) -> UUID:
        """The story it is written in."""
        return self.holding.story_id

    @property
    def repeatable(self) -> bool:
        """Whether sending it again finds the scene that is stored: the token tells."""
        return True

    @property
    def characters(self) -> int:
        """About how many characters of text it brings, the copy of the response in the generation included."""
        return len(self.content) + 2 * len(self.raw_response or "")

    def values(self) -> tuple[Any, ...]:
        """Return what this request puts into each of the function's arrays, in their order."""
        return (
            self.holding.story_id,
            self.holding.request_key,
            self.holding.owner,
            self.holding.token,
            self.content,
            self.location,
            self.story_time,
            canonical_json(self.metadata) if self.metadata else None,
            self.raw_response,
            canonical_json(self.choices) if self.choices else None,
            canonical_json(self.cast) if self.cast else None,
            self.spare_id,
            canonical_json(self.generation) if self.generation else None,
        )


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What became of one request; the fields are those of commit_turns_v1.sql."""

    status: str
    scene_number: int | None
    parent_number: int | None
    position: int | None
    branch_number: int | None
    chosen_choice: int | None
    created_at: datetime
    awaited: bool
    cast_members: str | None
    #: Streams that have new events.
    followed: list[UUID] | None = None

    def cast(self) -> list[dict[str, Any]]:
        """Return who appears, as `character_id`, `role` and `importance`, in the order of ids."""
        members: list[dict[str, Any]] = json.loads(self.cast_members or "[]")
        return members


async def commit_together(
    tx: Transaction, requests: Sequence[CommitRequest], *, wait: bool
) -> list[CommitResult | NotTried]:
    """Commit turns by one statement and return one result for each, in order; see commit_turns_v1.sql."""
    columns = zip(*(request.values() for request in requests), strict=True)
    rows = (await tx.execute_text(_COMMIT, (tx.world_id, wait, *map(list, columns), None))).all()
    if len(rows) != len(requests):
        message = f"commit_turns_v1 answered {len(rows)} of {len(requests)} requests"
        raise AssertionError(message)
    return [NOT_TRIED.get(row[0]) or _result(tx, row) for row in rows]


async def commit_with_state(tx: Transaction, world_id: UUID, request: CommitRequest, state: str) -> CommitResult:
    """Commit one turn, and with it what becomes true in its scene; see commit_turns_v1.sql."""
    columns = ([value] for value in request.values())
    tx.locks(LockKind.STORY, world_id, request.story_id)
    row = (await tx.execute_text(_COMMIT, (world_id, True, *columns, [state]))).one()
    return _result(tx, row)


def _result(tx: Transaction, row: Row[Any]) -> CommitResult:
    result = CommitResult(*tuple(row))
    for stream_id in result.followed or ():
        note_published(tx, stream_id)
    return result


def refusal(result: CommitResult, holding: Holding) -> LivingWorldError | None:
    """Return the error that a result means, or None when the scene is stored."""
    match result.status:
        case "committed" | "regenerated" | "replayed":
            return None
        case "stale_head":
            return StaleHead(expected=holding.base_scene_number or 0, actual=result.parent_number or 0)
        case "choice_not_found":
            return ChoiceNotFound(choice=result.chosen_choice, scene_number=result.parent_number or 0)
    return _REFUSALS[result.status](story_id=holding.story_id)


_REFUSALS: Final[dict[str, type[LivingWorldError]]] = {
    "fenced": Fenced,
    "story_not_found": StoryNotFound,
    "archived": Archived,
    "branch_not_found": BranchNotFound,
    "character_not_found": CharacterNotFound,
}

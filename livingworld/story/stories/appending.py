"""Appending scenes: the one statement that stores them, and its outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import Row

from livingworld.errors import (
    Archived,
    BranchNotFound,
    CharacterNotFound,
    ChoiceNotFound,
    LivingWorldError,
    RequestKeyReused,
    StaleHead,
    StoryNotFound,
)
from livingworld.live.kinds import LiveKind
from livingworld.live.log import note_published, publish_at_commit
from livingworld.postgres.group_commit.requests import NOT_TRIED, NotTried
from livingworld.postgres.locks import row_order_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.append_request import AppendRequest
from livingworld.story.stories.records import SceneCharacter
from livingworld.story.stories.rows import make_cast_members

#: As asyncpg takes it; the driver knows the types from the function.
_CALL: Final = f"livingworld.append_scenes_v1({', '.join(f'${number}' for number in range(1, 17))})"
_APPEND: Final = f"SELECT * FROM {_CALL}"  # noqa: S608 - our own words
#: The setting holds for this transaction. A followed story's events keep their numbers, so they are never lost.
_APPEND_WITHOUT_THE_DISK: Final = f"""
    WITH stored AS MATERIALIZED (SELECT * FROM {_CALL} WITH ORDINALITY), chosen AS MATERIALIZED (
        SELECT set_config('synchronous_commit', 'off', true) WHERE NOT EXISTS (SELECT FROM stored WHERE followed)
    )
    SELECT stored.* FROM stored LEFT JOIN chosen ON true ORDER BY stored.ordinality
"""  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class Appended:
    """The scene was stored."""

    scene_number: int
    parent_number: int | None
    position: int
    branch_number: int
    created_at: datetime
    cast: tuple[SceneCharacter, ...]


@dataclass(frozen=True, slots=True)
class Replayed:
    """An earlier request with the same key stored the scene."""

    scene_number: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was written."""

    error: LivingWorldError


@dataclass(frozen=True, slots=True)
class Newcomers:
    """Nothing was written: the cast has names that no character has."""


AppendOutcome: TypeAlias = Appended | Replayed | Refusal | Newcomers


async def append_together(
    tx: Transaction, requests: Sequence[AppendRequest], *, wait: bool
) -> list[AppendOutcome | NotTried]:
    """Append scenes by one statement, publish them, and return one outcome for each; see append_scenes_v1.sql."""
    disk = any(request.durable for request in requests)
    rows = await _append(tx, requests, _APPEND if disk else _APPEND_WITHOUT_THE_DISK, wait=wait, publish=True)
    for story_id in {request.story_id for request, row in zip(requests, rows, strict=True) if row.followed}:
        note_published(tx, story_id)
    return [_outcome(request, row) for request, row in zip(requests, rows, strict=True)]


async def append_joined(tx: Transaction, request: AppendRequest) -> AppendOutcome:
    """Append a scene as part of a transaction that stays open; locks the story until it ends."""
    key = row_order_key({"world_id": tx.world_id, "story_id": request.story_id})
    wait = not tx.lock_order.is_late(LockKind.STORY, key)
    tx.locks(LockKind.STORY, tx.world_id, request.story_id)
    (row,) = await _append(tx, [request], _APPEND, wait=wait, publish=False)
    outcome = _outcome(request, row)
    if isinstance(outcome, NotTried):
        raise tx.lock_order.refusal(LockKind.STORY)
    tx.lock_order.hold(LockKind.STORY, key)
    if isinstance(outcome, Appended):
        place = {"scene_number": outcome.scene_number, "branch_number": outcome.branch_number}
        publish_at_commit(tx, request.story_id, LiveKind.SCENE_APPENDED, **place)
    return outcome


async def _append(
    tx: Transaction, requests: Sequence[AppendRequest], sql: str, *, wait: bool, publish: bool
) -> Sequence[Row[Any]]:
    columns = zip(*(request.values() for request in requests), strict=True)
    arrays = (None if column[0] is None and column.count(None) == len(column) else column for column in columns)
    rows = (await tx.execute_text(sql, (tx.world_id, wait, publish, *arrays))).all()
    if len(rows) != len(requests):
        message = f"append_scenes answered {len(rows)} of {len(requests)} requests"
        raise AssertionError(message)
    if any(row.status == "appended" for row in rows):
        tx.leave_work()  # the words of the scenes are indexed later
    return rows


def _outcome(request: AppendRequest, row: Row[Any]) -> AppendOutcome | NotTried:
    """Return the outcome that a row of append_scenes reports."""
    match row.status:
        case "appended":
            return Appended(
                scene_number=row.scene_number,
                parent_number=row.parent_scene_number,
                position=row.position,
                branch_number=row.branch_number,
                created_at=row.created_at,
                cast=make_cast_members(row.cast_members),
            )
        case "replayed":
            return Replayed(row.scene_number)
        case "newcomers":
            return Newcomers()
        case "stale_head":
            return Refusal(StaleHead(expected=request.expected_head, actual=row.parent_scene_number or 0))
        case "choice_not_found":
            number = row.parent_scene_number or 0
            return Refusal(ChoiceNotFound(choice=request.scene.chosen_choice, scene_number=number))
    return NOT_TRIED.get(row.status) or Refusal(_REFUSALS[row.status](story_id=request.story_id))


_REFUSALS: Final[dict[str, type[LivingWorldError]]] = {
    "story_not_found": StoryNotFound,
    "archived": Archived,
    "branch_not_found": BranchNotFound,
    "character_not_found": CharacterNotFound,
    "request_key_reused": RequestKeyReused,
}

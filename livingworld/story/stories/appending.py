"""Appending scenes: the one statement that stores them, and its outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, Self, TypeAlias

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


class _Statements(NamedTuple):
    """The call of a function, by its ways of committing."""

    durable: str
    without_the_disk: str

    def text(self, *, durable: bool) -> str:
        """Return the call whose answer waits for the disk, or not."""
        return self.durable if durable else self.without_the_disk

    @classmethod
    def of(cls, call: str) -> Self:
        """Return them as asyncpg takes them; the driver knows the types from the function."""
        return cls(f"SELECT * FROM {call}", _without_the_disk(call))  # noqa: S608 - our own words


def _without_the_disk(call: str) -> str:
    """Return a call whose transaction does not wait for the disk: the setting holds for this transaction.

    A followed story's events keep their numbers, so they are never lost.
    """
    return f"""
        WITH stored AS MATERIALIZED (SELECT * FROM {call} WITH ORDINALITY), chosen AS MATERIALIZED (
            SELECT set_config('synchronous_commit', 'off', true) WHERE NOT EXISTS (SELECT FROM stored WHERE followed)
        )
        SELECT stored.* FROM stored LEFT JOIN chosen ON true ORDER BY stored.ordinality
    """  # noqa: S608 - our own words


_ARGUMENTS: Final = [f"${number}" for number in range(1, 17)]
_GROUP: Final = _Statements.of(f"livingworld.append_scenes_v1({', '.join(_ARGUMENTS)})")
_ALONE: Final = _Statements.of(f"livingworld.append_plain_scene_v1({', '.join(_ARGUMENTS[:15])})")


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
    """Append scenes by one statement, publish them, and return one outcome for each; see append_scenes_v1.sql.

    A lone scene costs a second statement where anything about it is special; append_plain_scene_v1.sql says what is.
    """
    rows = await _append(tx, requests, wait=wait, publish=True)
    for story_id in {request.story_id for request, row in zip(requests, rows, strict=True) if row.followed}:
        note_published(tx, story_id)
    return [_outcome(request, row) for request, row in zip(requests, rows, strict=True)]


async def append_joined(tx: Transaction, request: AppendRequest) -> AppendOutcome:
    """Append a scene as part of a transaction that stays open; locks the story until it ends."""
    key = row_order_key({"world_id": tx.world_id, "story_id": request.story_id})
    wait = not tx.lock_order.is_late(LockKind.STORY, key)
    tx.locks(LockKind.STORY, tx.world_id, request.story_id)
    (row,) = await _append(tx, [request], wait=wait, publish=False)
    outcome = _outcome(request, row)
    if isinstance(outcome, NotTried):
        raise tx.lock_order.refusal(LockKind.STORY)
    tx.lock_order.hold(LockKind.STORY, key)
    if isinstance(outcome, Appended):
        place = {"scene_number": outcome.scene_number, "branch_number": outcome.branch_number}
        publish_at_commit(tx, request.story_id, LiveKind.SCENE_APPENDED, **place)
    return outcome


async def _append(
    tx: Transaction, requests: Sequence[AppendRequest], *, wait: bool, publish: bool
) -> Sequence[Row[Any]]:
    rows = await _append_alone(tx, requests[0], wait=wait, publish=publish) if len(requests) == 1 else ()
    if not rows:
        columns = zip(*(request.values() for request in requests), strict=True)
        arrays = (None if column[0] is None and column.count(None) == len(column) else column for column in columns)
        disk = any(request.durable for request in requests)
        rows = (await tx.execute_text(_GROUP.text(durable=disk), (tx.world_id, wait, publish, *arrays))).all()
    if len(rows) != len(requests):
        message = f"append_scenes answered {len(rows)} of {len(requests)} requests"
        raise AssertionError(message)
    if any(row.status == "appended" for row in rows):
        tx.leave_work()  # the words of the scenes are indexed later
    return rows


async def _append_alone(tx: Transaction, request: AppendRequest, *, wait: bool, publish: bool) -> Sequence[Row[Any]]:
    """Append a scene where nothing about it is special; otherwise return nothing, and nothing is written."""
    if request.scene.cast:
        return ()
    *values, _, key, digest = request.values()
    sql = _ALONE.text(durable=request.durable)
    return (await tx.execute_text(sql, (tx.world_id, wait, publish, *values, key, digest))).all()


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

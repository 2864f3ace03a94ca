"""Everything that happens to a turn besides being taken and committed: renewed, answered, given up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Table, delete, func, text, update
from sqlalchemy.dialects.postgresql import insert

from livingworld.postgres.locks import lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.tables import stories
from livingworld.story.turns.committing import Holding
from livingworld.story.turns.tables import generations, turn_leases, turn_waiters, turns
from livingworld.story.turns.taking import TakeRequest

_RENEW: Final = """
    UPDATE livingworld.turn_leases AS l SET expires_at = now() + $5::interval
    FROM livingworld.branches AS b
    WHERE l.world_id = $1 AND l.story_id = $2 AND l.token = $3 AND l.owner = $4
        AND b.world_id = $1 AND b.story_id = $2 AND b.branch_number = l.branch_number AND b.version = l.branch_version
    RETURNING true
"""
_FREE: Final = {"owner": None, "request_key": None, "branch_version": None, "taken_at": None, "expires_at": None}


async def renew(tx: Transaction, world_id: UUID, holding: Holding, length: timedelta) -> bool:
    """Lengthen a lease by one statement; False when it is not this holding's any more, or the head has moved.

    It may write the time at which it began rather than the one at which it had the row: that is too early, never too
    late.
    """
    row = await tx.execute_text(_RENEW, (world_id, holding.story_id, holding.token, holding.owner, length))
    return row.first() is not None


async def record_answer(tx: Transaction, world_id: UUID, holding: Holding, known: dict[str, Any]) -> None:
    """Store what the model has answered, whoever holds the lease now: it was paid for."""
    await tx.execute(_generation(world_id, holding, {**known, "state": "answered"}))


async def give_up(tx: Transaction, world_id: UUID, holding: Holding, known: dict[str, Any], *, state: str) -> None:
    """End an attempt that was not committed, free the lease if it is this holding's, and keep what is known of it.

    A turn that was committed after all stays as it is. Locks the story.
    """
    if await _lock_story(tx, world_id, holding.story_id):
        await _free(tx, world_id, holding.story_id, holding.owner)
        await tx.execute(
            update(turns)
            .where(
                *_in_story(turns, world_id, holding.story_id),
                turns.c.request_key == holding.request_key,
                turns.c.token == holding.token,
                turns.c.state == "running",
            )
            .values(state="failed", updated_at=func.now())
        )
        await tx.execute(_generation(world_id, holding, {**known, "state": state}))


async def withdraw(tx: Transaction, world_id: UUID, request: TakeRequest) -> int | None:
    """Undo a try to take a turn whose answer nobody will hear: leave the queue, give back the lease. Locks the story.

    Returns the branch that others may want to look at again, or None.
    """
    if not await _lock_story(tx, world_id, request.story_id):
        return None
    waiting = (*_in_story(turn_waiters, world_id, request.story_id), turn_waiters.c.owner == request.owner)
    left: int | None = await tx.scalar(delete(turn_waiters).where(*waiting).returning(turn_waiters.c.branch_number))
    freed = await _free(tx, world_id, request.story_id, request.owner)
    if freed is not None:
        token, left = freed
        own = (*_in_story(turns, world_id, request.story_id), turns.c.request_key == request.request_key)
        running = (turns.c.token == token, turns.c.state == "running")
        await tx.execute(update(turns).where(*own, *running).values(state="failed", updated_at=func.now()))
    return left


def _generation(world_id: UUID, holding: Holding, known: dict[str, Any]) -> Any:  # noqa: ANN401 - an insert
    """Insert what is known of an attempt, or add it to what is stored; one that became a scene stays as it is."""
    key = {
        "world_id": world_id,
        "generation_id": holding.owner,
        "story_id": holding.story_id,
        "request_key": holding.request_key,
        "attempt": holding.attempt,
    }
    statement = insert(generations).values(**key, **known)
    return statement.on_conflict_do_update(
        constraint="pk_generations", set_=known, where=generations.c.state != text("'complete'")
    )


async def _lock_story(tx: Transaction, world_id: UUID, story_id: UUID) -> bool:
    return await lock_row(tx, LockKind.STORY, stories, {"world_id": world_id, "story_id": story_id}) is not None


async def _free(tx: Transaction, world_id: UUID, story_id: UUID, owner: UUID) -> tuple[int, int] | None:
    """Give back a lease if it is this owner's; return its token and its branch, or None."""
    held = (*_in_story(turn_leases, world_id, story_id), turn_leases.c.owner == owner)
    returned = (turn_leases.c.token, turn_leases.c.branch_number)
    row = (await tx.execute(update(turn_leases).where(*held).values(**_FREE).returning(*returned))).one_or_none()
    return None if row is None else (row.token, row.branch_number)


def _in_story(table: Table, world_id: UUID, story_id: UUID) -> tuple[Any, ...]:
    return (table.c.world_id == world_id, table.c.story_id == story_id)

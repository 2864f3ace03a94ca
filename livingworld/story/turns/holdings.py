"""What happens to a holding until it is committed: it is renewed, gets the model's answer, is given up or withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Insert, Table, delete, func, text, update
from sqlalchemy.dialects.postgresql import insert

from livingworld.postgres.locks import lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.tables import stories
from livingworld.story.turns.requests import Holding, TakeRequest, end_topic, turn_topic
from livingworld.story.turns.tables import generations, turn_leases, turn_waiters, turns

_RENEW: Final = """
    UPDATE livingworld.turn_leases AS l SET expires_at = now() + $5::interval
    FROM livingworld.branches AS b
    WHERE l.world_id = $1 AND l.story_id = $2 AND l.token = $3 AND l.owner = $4
        AND b.world_id = $1 AND b.story_id = $2 AND b.branch_number = l.branch_number AND b.version = l.branch_version
    RETURNING true
"""
# It waits for no row: rows that are locked in another order by those who take turns would be a deadlock.
_RENEW_ALL: Final = """
    UPDATE livingworld.turn_leases AS l SET expires_at = now() + $2::interval
    FROM (
        SELECT free.story_id, free.branch_number
        FROM unnest($3::uuid[], $4::integer[], $5::bigint[], $6::uuid[]) AS held (story_id, branch_number, token, owner)
        CROSS JOIN LATERAL (
            SELECT l.story_id, l.branch_number
            FROM livingworld.turn_leases AS l
            JOIN livingworld.branches AS b
                ON b.world_id = $1 AND b.story_id = l.story_id AND b.branch_number = l.branch_number
                AND b.version = l.branch_version
            WHERE l.world_id = $1 AND l.story_id = held.story_id AND l.branch_number = held.branch_number
                AND l.token = held.token AND l.owner = held.owner
            FOR NO KEY UPDATE OF l SKIP LOCKED
        ) free
    ) AS due
    WHERE l.world_id = $1 AND l.story_id = due.story_id AND l.branch_number = due.branch_number
    RETURNING l.owner
"""
_NEXT: Final = "SELECT livingworld.next_in_line_v1($1, $2, $3, clock_timestamp())"
_FREE: Final = {"owner": None, "request_key": None, "branch_version": None, "taken_at": None, "expires_at": None}


async def renew_lease(tx: Transaction, holding: Holding, length: timedelta) -> bool:
    """Lengthen a lease by one statement; False when another holding has it, or the head has moved.

    It may write the time at which it began rather than the one at which it had the row: that is too early, never too
    late.
    """
    row = await tx.execute_text(_RENEW, (tx.world_id, holding.story_id, holding.token, holding.owner, length))
    return row.first() is not None


async def renew_leases(tx: Transaction, holdings: Sequence[Holding], length: timedelta) -> set[UUID]:
    """Lengthen leases by one statement and return their owners; of those left out each has to be asked for alone."""
    columns = (
        [holding.story_id for holding in holdings],
        [holding.branch_number for holding in holdings],
        [holding.token for holding in holdings],
        [holding.owner for holding in holdings],
    )
    rows = (await tx.execute_text(_RENEW_ALL, (tx.world_id, length, *columns))).all()
    return {UUID(int=owner.int) for (owner,) in rows}


async def record_answer(tx: Transaction, holding: Holding, known: dict[str, Any]) -> None:
    """Store what the model has answered, whatever holding has the lease now: it was paid for."""
    await tx.execute(_generation(tx.world_id, holding, {**known, "state": "answered"}))


async def give_up(tx: Transaction, holding: Holding, known: dict[str, Any], *, state: str) -> None:
    """End an attempt that was not committed, free its lease, and keep what is known of it. Locks the story.

    A turn that was committed after all stays as it is, and a lease of another holding too.
    """
    if await _lock_story(tx, holding.story_id):
        await _free_lease(tx, holding.story_id, holding.owner)
        await _fail_turn(tx, holding.story_id, holding.request_key, holding.token)
        await tx.execute(_generation(tx.world_id, holding, {**known, "state": state}))
    tx.notify_after_commit(end_topic(holding.story_id, holding.request_key))
    await _notify_next(tx, holding.story_id, holding.branch_number)


async def withdraw(tx: Transaction, request: TakeRequest) -> None:
    """Undo a try to take a turn whose caller is gone: leave the queue, free the lease. Locks the story."""
    if not await _lock_story(tx, request.story_id):
        return
    waiting = (*_in_story(tx, turn_waiters, request.story_id), turn_waiters.c.owner == request.owner)
    branch: int | None = await tx.scalar(delete(turn_waiters).where(*waiting).returning(turn_waiters.c.branch_number))
    freed = await _free_lease(tx, request.story_id, request.owner)
    if freed is not None:
        token, branch = freed
        await _fail_turn(tx, request.story_id, request.request_key, token)
    if branch is not None:
        tx.notify_after_commit(end_topic(request.story_id, request.request_key))
        await _notify_next(tx, request.story_id, branch)


async def _notify_next(tx: Transaction, story_id: UUID, branch_number: int) -> None:
    """Wake the request whose turn has come at a branch, after the commit."""
    next_key = (await tx.execute_text(_NEXT, (tx.world_id, story_id, branch_number))).scalar_one()
    if next_key is not None:
        tx.notify_after_commit(turn_topic(story_id, next_key))


def _generation(world_id: UUID, holding: Holding, known: dict[str, Any]) -> Insert:
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


async def _lock_story(tx: Transaction, story_id: UUID) -> bool:
    """Lock a story; False when it is gone."""
    return await lock_row(tx, LockKind.STORY, stories, {"world_id": tx.world_id, "story_id": story_id}) is not None


async def _free_lease(tx: Transaction, story_id: UUID, owner: UUID) -> tuple[int, int] | None:
    """Give back a lease if it is this owner's; return its token and its branch, or None."""
    held = (*_in_story(tx, turn_leases, story_id), turn_leases.c.owner == owner)
    returned = (turn_leases.c.token, turn_leases.c.branch_number)
    row = (await tx.execute(update(turn_leases).where(*held).values(**_FREE).returning(*returned))).one_or_none()
    return None if row is None else (row.token, row.branch_number)


async def _fail_turn(tx: Transaction, story_id: UUID, request_key: str, token: int) -> None:
    """Mark a turn as failed if it still runs by this holding."""
    own = (*_in_story(tx, turns, story_id), turns.c.request_key == request_key)
    running = (turns.c.token == token, turns.c.state == "running")
    await tx.execute(update(turns).where(*own, *running).values(state="failed", updated_at=func.now()))


def _in_story(tx: Transaction, table: Table, story_id: UUID) -> tuple[Any, ...]:
    return (table.c.world_id == tx.world_id, table.c.story_id == story_id)
